-- The current version of every object that the ledger knows.
SELECT
    object_key,
    object_etag,
    last_modified,
    sha256,
    status,
    envelope,
    records,
    error,
    discovered_at
FROM object_ledger
WHERE status <> 'replaced'
