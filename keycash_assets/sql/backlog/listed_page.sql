INSERT INTO listed_objects
SELECT
    object_key,
    object_etag,
    size_bytes,
    last_modified
FROM listed_page
