-- Listed versions that the ledger has not seen, oldest first.
-- The same ETag with another modification time was put again: with the same content as a rule, which only its
-- bytes can prove. Parameter: $again, whether all listed versions are taken.
SELECT
    listed_objects.last_modified,
    listed_objects.object_key,
    listed_objects.object_etag,
    listed_objects.size_bytes
FROM listed_objects
LEFT JOIN object_ledger AS seen
    ON
        listed_objects.object_key = seen.object_key
        AND listed_objects.object_etag = seen.object_etag
        AND listed_objects.last_modified = seen.last_modified
        AND seen.status NOT IN ('replaced', 'deleted')
WHERE seen.object_key IS NULL OR $again
ORDER BY listed_objects.last_modified, listed_objects.object_key
