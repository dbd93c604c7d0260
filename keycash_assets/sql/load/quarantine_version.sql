UPDATE quarantine
SET object_etag = arriving_objects.object_etag
FROM arriving_objects
WHERE
    quarantine.object_key = arriving_objects.object_key
    AND arriving_objects.status = 'unchanged'
    AND quarantine.object_etag <> arriving_objects.object_etag
