-- When the last load began: of everything in the bucket, or of this run. Parameter: $run_id, NULL for everything.
SELECT max(started_at) AS started_at
FROM load_history
WHERE CASE WHEN $run_id IS NULL THEN kind IN ('bulk', 'full') ELSE run_id = $run_id END
