-- The versions that a listing found, gathered page by page.
CREATE OR REPLACE TEMP TABLE listed_objects (
    object_key VARCHAR,
    object_etag VARCHAR,
    size_bytes BIGINT,
    last_modified TIMESTAMPTZ
)
