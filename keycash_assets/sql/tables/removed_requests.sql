-- Requests that loads took away and that credit_per_day has not taken out yet.
CREATE TABLE IF NOT EXISTS removed_requests (
    id VARCHAR, -- client
    object_key VARCHAR, -- object that held the request
    record_index BIGINT -- its position in the object, from 0
)
