-- Parameters: $loaded_at, $run_id.
INSERT INTO object_ledger
SELECT
    arriving_objects.object_key,
    arriving_objects.object_etag,
    arriving_objects.size_bytes,
    arriving_objects.last_modified,
    arriving_objects.sha256,
    arriving_objects.envelope,
    arriving_objects.status,
    arriving_objects.records,
    coalesce(arriving_objects.problem_records, problems.problem_records, 0) AS problem_records,
    arriving_objects.error,
    arriving_objects.discovered_at,
    $loaded_at AS finished_at,
    $run_id AS run_id
FROM arriving_objects
LEFT JOIN (
    SELECT
        object_key,
        count(*) AS problem_records
    FROM landing_table
    WHERE loaded_at = $loaded_at AND problems IS NOT NULL
    GROUP BY object_key
) AS problems ON arriving_objects.object_key = problems.object_key
