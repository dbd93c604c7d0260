-- The accounts of objects that a listing found, as if loads had brought them.
INSERT INTO object_ledger (
    object_key, object_etag, size_bytes, last_modified, sha256, status, records, problem_records, discovered_at,
    finished_at, run_id
)
SELECT
    object_key,
    object_etag,
    size_bytes,
    last_modified,
    sha256(object_key) AS sha256,
    'loaded' AS status,
    5 AS records,
    0 AS problem_records,
    last_modified AS discovered_at,
    last_modified AS finished_at,
    'history' AS run_id
FROM listed
