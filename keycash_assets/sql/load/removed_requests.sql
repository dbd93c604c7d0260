-- Requests that are about to leave: what credit_per_day has to take out. Parameter: $loaded_at.
INSERT INTO removed_requests
SELECT
    id,
    object_key,
    record_index
FROM landing_table
WHERE
    problems IS NULL
    AND object_key IN (SELECT object_key FROM leaving_objects)
    AND loaded_at <> $loaded_at
