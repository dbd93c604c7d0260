-- Objects that are no longer in the bucket; an older version that they replaced stays replaced.
-- Parameters: $loaded_at, $run_id.
UPDATE object_ledger
SET
    status = 'deleted',
    finished_at = $loaded_at,
    run_id = $run_id
FROM vanished_objects
WHERE object_ledger.object_key = vanished_objects.object_key AND object_ledger.status <> 'replaced'
