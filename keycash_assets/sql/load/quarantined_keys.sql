-- Objects of which something, or all, stands in quarantine.
SELECT DISTINCT object_key FROM quarantine ORDER BY object_key
