-- The very version was loaded before: its row is written anew by the statement that follows.
DELETE FROM object_ledger
USING arriving_objects
WHERE
    object_ledger.object_key = arriving_objects.object_key
    AND object_ledger.object_etag = arriving_objects.object_etag
    AND object_ledger.status <> 'replaced'
