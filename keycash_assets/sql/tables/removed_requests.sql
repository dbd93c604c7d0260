-- Requests that loads took away since the last publication.
CREATE TABLE IF NOT EXISTS removed_requests (
    id VARCHAR, -- client
    object_key VARCHAR, -- object that held the request
    record_index BIGINT -- its position in the object, from 0
)
