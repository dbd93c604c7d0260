-- credit_per_day from the records alone, in the fastest way that was found: the latest moment of each client first,
-- and only for the requests of that moment the key and the position, which are the slow ones to compare.
WITH latest AS MATERIALIZED (
    SELECT
        id,
        max(data_solicitacao) AS data_solicitacao
    FROM landing_table
    WHERE problems IS NULL
    GROUP BY id
),

winners AS (
    SELECT
        max(landing_table.data_solicitacao) AS data_solicitacao,
        arg_max(
            landing_table.credito_solicitado, (landing_table.object_key, landing_table.record_index)
        ) AS credito_solicitado
    FROM landing_table
    INNER JOIN latest
        ON landing_table.id = latest.id AND landing_table.data_solicitacao = latest.data_solicitacao
    WHERE landing_table.problems IS NULL
    GROUP BY landing_table.id
)

SELECT
    data_solicitacao::DATE AS data_solicitada,
    sum(credito_solicitado) AS credito_solicitado,
    count(*) AS requests
FROM winners
GROUP BY 1
ORDER BY 1
