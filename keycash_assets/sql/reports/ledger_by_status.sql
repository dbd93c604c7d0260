SELECT
    status,
    count(*) AS versions,
    count(DISTINCT object_key) AS objects,
    sum(records) AS records,
    sum(size_bytes) AS size_bytes
FROM object_ledger
GROUP BY status
ORDER BY status
