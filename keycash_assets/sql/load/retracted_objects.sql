-- Deleted objects whose rows stayed, as the policy had it then, and leave now.
SELECT count(DISTINCT object_key) AS objects
FROM landing_table
WHERE
    object_key IN (
        SELECT object_key FROM leaving_objects
        EXCEPT
        SELECT object_key FROM arriving_objects
        EXCEPT
        SELECT object_key FROM vanished_objects
    )
