-- One row for every publication: the last one says as of when the published data are.
CREATE TABLE IF NOT EXISTS publications (
    published_at TIMESTAMPTZ, -- when the snapshot was made
    run_id VARCHAR -- Dagster run that made it
)
