-- Listed versions that the ledger has not seen, oldest first, each once whoever names its key twice.
-- The same ETag with another modification time was put again: with the same content as a rule, which only its
-- bytes can prove. A version without digest could not be read. The same content under both y and y/ is listed as
-- one ETag of y with two modification times, of which the ledger has one.
-- Parameters: $again, whether all listed versions are taken, and $unreadable_before, a moment: versions that could
-- not be read before it are new again.
SELECT
    min(listed_objects.last_modified) AS last_modified,
    listed_objects.object_key,
    listed_objects.object_etag,
    min(listed_objects.size_bytes) AS size_bytes
FROM listed_objects
LEFT JOIN object_ledger AS seen
    ON
        listed_objects.object_key = seen.object_key
        AND listed_objects.object_etag = seen.object_etag
        AND listed_objects.last_modified = seen.last_modified
        AND seen.status NOT IN ('replaced', 'deleted')
        AND (seen.sha256 IS NOT NULL OR seen.finished_at >= $unreadable_before)
GROUP BY listed_objects.object_key, listed_objects.object_etag
HAVING $again OR count(seen.object_key) = 0
ORDER BY last_modified, listed_objects.object_key
