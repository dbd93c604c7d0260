-- What is not JSON in the current objects, with the offending bytes. A mended upload clears its entries.
CREATE TABLE IF NOT EXISTS quarantine (
    object_key VARCHAR, -- key of the object in the bucket
    object_etag VARCHAR, -- version of the object
    line BIGINT, -- number of the line from 1, NULL for the whole object
    raw BLOB, -- the offending bytes, at most 64 KiB of them
    reason VARCHAR, -- why they cannot be read
    quarantined_at TIMESTAMPTZ, -- when they were set aside
    run_id VARCHAR -- Dagster run that set them aside
)
