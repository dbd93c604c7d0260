-- What a load made of the objects it saw. Parameter: $run_id.
SELECT
    arrived.object_key,
    CASE
        WHEN arrived.status = 'loaded' AND before_load.object_key IS NOT NULL THEN 'replace'
        WHEN arrived.status = 'loaded' THEN 'load'
        WHEN arrived.status = 'quarantined' THEN 'quarantine'
        ELSE arrived.status
    END AS action,
    arrived.size_bytes,
    arrived.records,
    arrived.problem_records,
    arrived.error
FROM object_ledger AS arrived
LEFT JOIN (SELECT DISTINCT object_key FROM object_ledger WHERE run_id <> $run_id) AS before_load
    ON arrived.object_key = before_load.object_key
WHERE arrived.run_id = $run_id
ORDER BY action, arrived.object_key
