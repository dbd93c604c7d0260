-- Parameters: $loaded_at, $run_id.
INSERT INTO quarantine
SELECT
    object_key,
    object_etag,
    line,
    raw,
    reason,
    $loaded_at AS quarantined_at,
    $run_id AS run_id
FROM arriving_quarantine
