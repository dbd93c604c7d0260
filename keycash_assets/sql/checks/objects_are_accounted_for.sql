-- Conservation. Objects of which the ledger has no current version or several, and loaded objects whose
-- elements and unreadable lines are not the rows of landing_table and quarantine.
WITH current_versions AS (
    SELECT
        object_key,
        count(*) AS versions,
        max(object_etag) AS object_etag,
        sum(records) AS records,
        max(status) AS status,
        -- What the reader said when it counted them: "3 unreadable lines, the first is line 2: ...".
        sum(coalesce(TRY_CAST(regexp_extract(error, '^([0-9]+) unreadable lines', 1) AS BIGINT), 0)) AS unreadable_lines
    FROM object_ledger
    WHERE status <> 'replaced'
    GROUP BY object_key
),

landed AS (
    SELECT
        object_key,
        count(*) AS records
    FROM landing_table
    GROUP BY object_key
),

quarantined AS (
    SELECT
        object_key,
        count(*) FILTER (WHERE line IS NULL) AS whole_objects,
        count(line) AS lines
    FROM quarantine
    GROUP BY object_key
)

SELECT
    coalesce(current_versions.object_key, landed.object_key, quarantined.object_key) AS object_key,
    current_versions.status,
    coalesce(current_versions.versions, 0) AS current_versions,
    coalesce(current_versions.records, 0) AS records_in_object,
    coalesce(landed.records, 0) AS records_landed,
    coalesce(current_versions.unreadable_lines, 0) AS unreadable_lines_in_object,
    coalesce(quarantined.lines, 0) AS lines_quarantined,
    coalesce(quarantined.whole_objects, 0) AS whole_objects_quarantined
FROM current_versions
FULL JOIN landed ON current_versions.object_key = landed.object_key
FULL JOIN quarantined ON coalesce(current_versions.object_key, landed.object_key) = quarantined.object_key
WHERE
    current_versions.versions IS DISTINCT FROM 1
    OR (
        coalesce(current_versions.records, 0) <> coalesce(landed.records, 0)
        -- The rows of a deleted object were kept or retracted, all of them.
        AND NOT (current_versions.status = 'deleted' AND landed.records IS NULL)
    )
    OR (
        (current_versions.status = 'quarantined') <> (coalesce(quarantined.whole_objects, 0) = 1)
        AND current_versions.status <> 'deleted'
    )
    OR (
        coalesce(current_versions.unreadable_lines, 0) <> coalesce(quarantined.lines, 0)
        AND NOT (current_versions.status = 'deleted' AND quarantined.lines IS NULL)
    )
ORDER BY 1
