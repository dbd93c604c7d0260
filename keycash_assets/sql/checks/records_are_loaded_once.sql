-- Exactly once. Positions in an object that stand in landing_table more than once, or beyond the object's end: of
-- all objects, or of those of which a load that is not published yet brought rows, or whose rows are not the ones
-- that the ledger counts. Parameter: $everything.
WITH counted AS (
    SELECT
        object_key,
        max(records) AS records
    FROM object_ledger
    WHERE status IN ('loaded', 'unchanged', 'deleted')
    GROUP BY object_key
),

landed AS (
    SELECT
        object_key,
        count(*) AS records,
        max(loaded_at) AS loaded_at,
        min(record_index) AS first_index,
        max(record_index) AS last_index
    FROM landing_table
    GROUP BY object_key
),

examined AS (
    SELECT
        landed.object_key,
        coalesce(counted.records, 0) AS records
    FROM landed
    LEFT JOIN counted ON landed.object_key = counted.object_key
    WHERE
        $everything
        OR landed.loaded_at IN (SELECT started_at FROM load_history WHERE published_at IS NULL)
        OR landed.records IS DISTINCT FROM counted.records
        OR landed.first_index < 0
        OR landed.last_index >= counted.records
)

SELECT
    landing_table.object_key,
    landing_table.record_index,
    count(*) AS times
FROM landing_table
INNER JOIN examined ON landing_table.object_key = examined.object_key
GROUP BY landing_table.object_key, landing_table.record_index
HAVING count(*) > 1 OR landing_table.record_index < 0 OR landing_table.record_index >= max(examined.records)
ORDER BY landing_table.object_key, landing_table.record_index
