DELETE FROM quarantine
WHERE object_key IN (SELECT object_key FROM arriving_objects WHERE status <> 'unchanged')
