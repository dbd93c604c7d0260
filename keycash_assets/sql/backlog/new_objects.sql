-- Listed versions that the ledger has not seen, oldest first.
-- The same ETag with another modification time was put again: with the same content as a rule, which only its
-- bytes can prove. A version without digest could not be read.
-- Parameters: $again, whether all listed versions are taken, and $unreadable_before, a moment: versions that could
-- not be read before it are new again.
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
        AND (seen.sha256 IS NOT NULL OR seen.finished_at >= $unreadable_before)
WHERE seen.object_key IS NULL OR $again
ORDER BY listed_objects.last_modified, listed_objects.object_key
