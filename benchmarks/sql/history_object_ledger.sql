-- The accounts of the objects of that history. Parameter: $loaded_at.
INSERT INTO object_ledger (
    object_key, object_etag, size_bytes, last_modified, sha256, status, records, problem_records, discovered_at,
    finished_at, run_id
)
SELECT
    object_key,
    object_etag,
    count(*) * 148 AS size_bytes,
    $loaded_at AS last_modified,
    sha256(object_key) AS sha256,
    'loaded' AS status,
    count(*) AS records,
    0 AS problem_records,
    $loaded_at AS discovered_at,
    $loaded_at AS finished_at,
    'history' AS run_id
FROM landing_table
GROUP BY object_key, object_etag
