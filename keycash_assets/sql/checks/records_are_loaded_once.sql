-- Exactly once. Positions in an object that stand in landing_table more than once, or beyond the object's end.
SELECT
    landing_table.object_key,
    landing_table.record_index,
    count(*) AS times
FROM landing_table
LEFT JOIN object_ledger
    ON
        landing_table.object_key = object_ledger.object_key
        AND landing_table.object_etag = object_ledger.object_etag
        AND object_ledger.status IN ('loaded', 'unchanged', 'deleted')
GROUP BY landing_table.object_key, landing_table.record_index
HAVING count(*) > 1 OR landing_table.record_index < 0 OR landing_table.record_index >= coalesce(max(object_ledger.records), 0)
ORDER BY landing_table.object_key, landing_table.record_index
