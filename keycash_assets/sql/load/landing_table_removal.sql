-- Takes out what stood in objects that were replaced or retracted; what this load brought stays.
-- Parameter: $loaded_at.
DELETE FROM landing_table
WHERE object_key IN (SELECT object_key FROM leaving_objects) AND loaded_at <> $loaded_at
