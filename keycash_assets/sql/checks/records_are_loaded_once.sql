-- Exactly once. Positions in an object that stand in landing_table more than once, or beyond the object's end: of
-- all objects, or of those of which a load that is not published yet brought rows, or whose rows are not the ones
-- that the ledger counts. Where as many rows as there are positions, 62 at the most, set the bits of all of them,
-- each stands there once: only other objects are looked at row by row. Parameter: $everything.
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
        max(record_index) AS last_index,
        bit_or(CASE WHEN record_index BETWEEN 0 AND 61 THEN 1::BIGINT << record_index END) AS positions
    FROM landing_table
    GROUP BY object_key
),

examined AS MATERIALIZED (
    SELECT
        landed.object_key,
        coalesce(counted.records, 0) AS records,
        -- Names of objects, one for each row, would not fit the memory.
        row_number() OVER () AS object_number
    FROM landed
    LEFT JOIN counted ON landed.object_key = counted.object_key
    WHERE
        landed.records IS DISTINCT FROM counted.records
        OR landed.first_index < 0
        OR landed.last_index >= counted.records
        OR (
            ($everything OR landed.loaded_at IN (SELECT started_at FROM load_history WHERE published_at IS NULL))
            AND CASE
                WHEN landed.records <= 62
                    THEN landed.positions IS DISTINCT FROM (1::BIGINT << landed.records) - 1
                ELSE true
            END
        )
),

offending AS (
    SELECT
        examined.object_number,
        landing_table.record_index,
        count(*) AS times
    FROM landing_table
    INNER JOIN examined ON landing_table.object_key = examined.object_key
    GROUP BY examined.object_number, landing_table.record_index
    HAVING count(*) > 1 OR landing_table.record_index < 0 OR landing_table.record_index >= max(examined.records)
)

SELECT
    examined.object_key,
    offending.record_index,
    offending.times
FROM offending
INNER JOIN examined ON offending.object_number = examined.object_number
ORDER BY examined.object_key, offending.record_index
