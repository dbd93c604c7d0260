-- The same content was put again under another ETag: its rows are of the new version now.
UPDATE landing_table
SET object_etag = arriving_objects.object_etag
FROM arriving_objects
WHERE
    landing_table.object_key = arriving_objects.object_key
    AND arriving_objects.status = 'unchanged'
    AND landing_table.object_etag <> arriving_objects.object_etag
