-- Incremental = full. Days on which the kept-up total is not the one computed from all records.
WITH winners AS (
    SELECT
        data_solicitacao,
        credito_solicitado
    FROM landing_table
    WHERE problems IS NULL
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY data_solicitacao DESC, object_key DESC, record_index DESC) = 1
),

computed AS (
    SELECT
        data_solicitacao::DATE AS data_solicitada,
        sum(credito_solicitado) AS credito_solicitado,
        count(*) AS requests
    FROM winners
    GROUP BY 1
),

kept_up AS (
    SELECT
        data_solicitada,
        max(credito_solicitado) AS credito_solicitado,
        max(requests) AS requests,
        count(*) AS days
    FROM credit_per_day
    GROUP BY data_solicitada
)

SELECT
    coalesce(computed.data_solicitada, kept_up.data_solicitada) AS data_solicitada,
    kept_up.credito_solicitado AS kept_up,
    computed.credito_solicitado AS computed,
    kept_up.requests AS requests_kept_up,
    computed.requests AS requests_computed
FROM computed
FULL JOIN kept_up ON computed.data_solicitada = kept_up.data_solicitada
WHERE
    kept_up.days IS DISTINCT FROM 1
    OR computed.credito_solicitado IS DISTINCT FROM kept_up.credito_solicitado
    OR computed.requests IS DISTINCT FROM kept_up.requests
ORDER BY 1
