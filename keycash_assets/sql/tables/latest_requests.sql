-- The request that counts for each client: the state from which credit_per_day is kept up.
CREATE TABLE IF NOT EXISTS latest_requests (
    id_hash UHUGEINT, -- the MD5 of the id's SHA-256: compared instead of the id, which takes five times as long to read
    id VARCHAR, -- client
    data_solicitacao TIMESTAMP, -- when the request was made, local time
    object_key VARCHAR, -- object that holds the request
    record_index BIGINT, -- position of the request in the object, from 0
    credito_solicitado DECIMAL(18, 2) -- credit asked for, in BRL
)
