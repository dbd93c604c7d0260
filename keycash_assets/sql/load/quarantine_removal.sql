-- Parameter: $loaded_at.
DELETE FROM quarantine
WHERE object_key IN (SELECT object_key FROM leaving_objects) AND quarantined_at <> $loaded_at
