-- A history of requests of the shape of the real ones, as if loads had brought them.
-- Parameters: $rows, $clients, $records (in each object), $loaded_at.
INSERT INTO landing_table (
    id, name, idade, credito_solicitado, data_solicitacao, record, object_key, object_etag, record_index, loaded_at, run_id
)
WITH numbered AS (
    SELECT
        number,
        number * 2654435761 % $clients AS client,
        number * 7919 % 490000 + 10000 AS amount,
        TIMESTAMP '2022-01-01' + to_minutes(number * 40503001 % (365 * 24 * 60)) AS requested_at
    FROM range($rows) AS numbers (number)
),

requests AS (
    SELECT
        *,
        md5(client::VARCHAR) AS id,
        'NAME ' || client % 1000 AS name,
        18 + client % 60 AS idade
    FROM numbered
)

SELECT
    id,
    name,
    idade,
    amount::DECIMAL(18, 2) AS credito_solicitado,
    requested_at AS data_solicitacao,
    format(
        '{{"id": "{}", "name": "{}", "idade": {}, "credito_solicitado": {}, "data_solicitacao": "{}"}}',
        id, name, idade, amount, strftime(requested_at, '%m/%d/%Y %H:%M')
    )::JSON AS record,
    format('history/requests_{:07d}.json', number // $records) AS object_key,
    md5((number // $records)::VARCHAR) AS object_etag,
    number % $records AS record_index,
    $loaded_at AS loaded_at,
    'history' AS run_id
FROM requests
