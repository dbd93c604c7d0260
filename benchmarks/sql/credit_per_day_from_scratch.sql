-- credit_per_day from the records alone, in the fastest way that was found: what decides which request of a client
-- counts is one sort key, compared as bytes.
SELECT
    data_solicitacao::DATE AS data_solicitada,
    sum(credito_solicitado) AS credito_solicitado,
    count(*) AS requests
FROM (
    SELECT
        max(data_solicitacao) AS data_solicitacao,
        arg_max(
            credito_solicitado,
            create_sort_key(
                data_solicitacao, 'ASC NULLS LAST', object_key, 'ASC NULLS LAST', record_index, 'ASC NULLS LAST'
            )
        ) AS credito_solicitado
    FROM landing_table
    WHERE problems IS NULL
    GROUP BY id
) AS winners
GROUP BY 1
ORDER BY 1
