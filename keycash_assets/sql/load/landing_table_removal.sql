-- Takes out the rows of objects whose content is replaced; the new ones arrive in the same transaction.
DELETE FROM landing_table
WHERE object_key IN (SELECT object_key FROM arriving_objects WHERE status <> 'unchanged')
