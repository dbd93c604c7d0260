-- The valid requests: which one counts for its client, and which request superseded the others.
CREATE OR REPLACE VIEW credit_requests AS
SELECT
    requests.id, -- client
    requests.name, -- client's name
    requests.idade, -- client's age in years
    requests.credito_solicitado, -- credit asked for, in BRL
    requests.data_solicitacao, -- when it was asked for, local time
    requests.object_key, -- object that holds the request
    requests.object_etag, -- version of the object
    requests.record_index, -- position of the request in the object, from 0
    requests.extra, -- the record's other fields
    requests.loaded_at, -- when the request was loaded
    requests.run_id, -- Dagster run that loaded it
    (
        requests.object_key = latest.object_key AND requests.record_index = latest.record_index
    ) AS is_latest, -- whether this request counts
    CASE WHEN NOT is_latest THEN latest.object_key END AS superseded_by_key, -- object of the request that counts instead
    CASE WHEN NOT is_latest THEN latest.record_index END AS superseded_by_index -- its position in that object
FROM landing_table AS requests
INNER JOIN latest_requests AS latest ON requests.id = latest.id
WHERE requests.problems IS NULL
