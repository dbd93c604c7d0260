-- Records that do not count, and why.
SELECT
    object_key,
    record_index,
    array_to_string(problems, '; ') AS problems
FROM landing_table
WHERE problems IS NOT NULL
ORDER BY object_key, record_index
