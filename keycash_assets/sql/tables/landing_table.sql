-- One row for every JSON record in every current object: all information in the files, nothing judged away.
CREATE TABLE IF NOT EXISTS landing_table (
    id VARCHAR, -- client, as in the file
    name VARCHAR, -- client's name, as in the file
    idade BIGINT, -- client's age in years
    credito_solicitado DECIMAL(18, 2), -- credit asked for, in BRL
    data_solicitacao TIMESTAMP, -- when it was asked for, local time
    extra JSON, -- the record's other fields, NULL if there are none
    record JSON, -- the record exactly as the file has it
    problems VARCHAR[], -- why the record cannot count, NULL if it can
    object_key VARCHAR, -- key of the object in the bucket
    object_etag VARCHAR, -- version of the object
    record_index BIGINT, -- position of the record in the object, from 0
    loaded_at TIMESTAMPTZ, -- when the record was loaded
    run_id VARCHAR -- Dagster run that loaded it
)
