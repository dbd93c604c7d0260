-- One row for every object version ever seen, never deleted: the memory of what was loaded, and how it ended.
CREATE TABLE IF NOT EXISTS object_ledger (
    object_key VARCHAR, -- key of the object in the bucket
    object_etag VARCHAR, -- version of the object
    size_bytes BIGINT, -- size of the object as stored
    last_modified TIMESTAMPTZ, -- when the bucket received this version
    sha256 VARCHAR, -- digest of the bytes: what decides whether two versions are the same
    envelope JSON, -- the document's fields beside its records, NULL if there are none
    status VARCHAR, -- loaded, unchanged, replaced, quarantined or deleted
    records BIGINT, -- records in the object
    problem_records BIGINT, -- records that cannot count
    error VARCHAR, -- why the object, or lines of it, could not be read
    discovered_at TIMESTAMPTZ, -- when this version was first seen
    finished_at TIMESTAMPTZ, -- when it reached its status
    run_id VARCHAR -- Dagster run in which it did
)
