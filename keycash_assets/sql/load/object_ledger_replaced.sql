-- A newer version of the object is there: the older one stays in the ledger as replaced.
UPDATE object_ledger
SET status = 'replaced'
FROM arriving_objects
WHERE
    object_ledger.object_key = arriving_objects.object_key
    AND object_ledger.object_etag <> arriving_objects.object_etag
    AND object_ledger.status <> 'replaced'
