-- What the ledger has of the objects in arriving_keys.
SELECT
    object_ledger.object_key,
    object_ledger.object_etag,
    object_ledger.last_modified,
    object_ledger.sha256,
    object_ledger.status,
    object_ledger.envelope,
    object_ledger.records,
    object_ledger.problem_records,
    object_ledger.error,
    object_ledger.discovered_at
FROM object_ledger
INNER JOIN arriving_keys ON object_ledger.object_key = arriving_keys.object_key
WHERE object_ledger.status <> 'replaced'
