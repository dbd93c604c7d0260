-- Overwrite replaces. Rows of a version that is not the object's current one.
SELECT
    rows_of_version.object_key,
    rows_of_version.object_etag,
    count(*) AS stale_rows
FROM (
    SELECT object_key, object_etag FROM landing_table
    UNION ALL
    SELECT object_key, object_etag FROM quarantine
) AS rows_of_version
LEFT JOIN object_ledger
    ON
        rows_of_version.object_key = object_ledger.object_key
        AND rows_of_version.object_etag = object_ledger.object_etag
        AND object_ledger.status <> 'replaced'
WHERE object_ledger.object_key IS NULL
GROUP BY rows_of_version.object_key, rows_of_version.object_etag
ORDER BY rows_of_version.object_key, rows_of_version.object_etag
