-- Days whose total may have changed, what it was, what it is, and the files that caused it.
CREATE OR REPLACE TEMP TABLE changed_days AS
WITH touched AS (
    SELECT
        old_winner.data_solicitacao::DATE AS data_solicitada,
        cause
    FROM latest_request_changes
    WHERE old_winner IS NOT NULL
    UNION
    SELECT
        new_winner.data_solicitacao::DATE AS data_solicitada,
        cause
    FROM latest_request_changes
    WHERE new_winner IS NOT NULL
),

causes AS (
    SELECT
        data_solicitada,
        list(cause ORDER BY cause) AS object_keys
    FROM touched
    GROUP BY data_solicitada
),

totals AS (
    SELECT
        data_solicitacao::DATE AS data_solicitada,
        sum(credito_solicitado) AS credito_solicitado,
        count(*) AS requests
    FROM latest_requests
    WHERE data_solicitacao::DATE IN (SELECT data_solicitada FROM causes)
    GROUP BY 1
)

SELECT
    causes.data_solicitada,
    causes.object_keys,
    credit_per_day.credito_solicitado AS old_credito_solicitado,
    totals.credito_solicitado AS new_credito_solicitado,
    totals.requests
FROM causes
LEFT JOIN credit_per_day ON causes.data_solicitada = credit_per_day.data_solicitada
LEFT JOIN totals ON causes.data_solicitada = totals.data_solicitada
