INSERT INTO load_history (
    run_id, kind, started_at, finished_at, objects_loaded, objects_unchanged, objects_quarantined,
    objects_deferred, objects_deleted, records, size_bytes, differing_objects, differing_days
)
VALUES (
    $run_id, $kind, $started_at, $finished_at, $objects_loaded, $objects_unchanged, $objects_quarantined,
    $objects_deferred, $objects_deleted, $records, $size_bytes, $differing_objects, $differing_days
)
