-- The load that brought it, which is published but which the metric has still to take in. Parameters: $rows, $loaded_at.
INSERT INTO load_history (
    run_id, kind, started_at, finished_at, objects_loaded, objects_unchanged, objects_quarantined, objects_deferred,
    records, size_bytes, published_at
)
SELECT
    'history' AS run_id,
    'bulk' AS kind,
    $loaded_at AS started_at,
    $loaded_at AS finished_at,
    count(*) AS objects_loaded,
    0 AS objects_unchanged,
    0 AS objects_quarantined,
    0 AS objects_deferred,
    $rows AS records,
    sum(size_bytes) AS size_bytes,
    $loaded_at AS published_at
FROM object_ledger
