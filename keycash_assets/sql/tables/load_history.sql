-- One row for every load: what it did, and how long it took.
CREATE TABLE IF NOT EXISTS load_history (
    run_id VARCHAR, -- Dagster run
    kind VARCHAR, -- per file, bulk or full
    started_at TIMESTAMPTZ, -- when it began to compare the bucket with the ledger
    finished_at TIMESTAMPTZ, -- when its rows were complete
    objects_loaded BIGINT, -- objects whose records were loaded
    objects_unchanged BIGINT, -- objects put again with the same content
    objects_quarantined BIGINT, -- objects in which nothing could be read
    objects_deferred BIGINT, -- objects that changed while they were read, left to the next load
    objects_deleted BIGINT, -- objects found to be no longer in the bucket, or retracted only now
    records BIGINT, -- records loaded
    size_bytes BIGINT, -- bytes read from the bucket
    differing_objects VARCHAR[], -- full load only: unchanged objects whose rows were not as they should be
    credit_per_day_at TIMESTAMPTZ, -- when credit_per_day took it in, NULL until then
    published_at TIMESTAMPTZ, -- when readers first saw it, NULL until then
    differing_days DATE[] -- full load only: days whose total was not as it should be
)
