-- Days that another request counts for, what their total was, what it is, and the files that caused it.
-- Parameter: $everything, to sum all days from latest_requests alone.
CREATE OR REPLACE TEMP TABLE changed_days AS
WITH moved AS (
    SELECT
        old_winner.data_solicitacao::DATE AS data_solicitada,
        -old_winner.credito_solicitado AS credito_solicitado,
        -1 AS requests,
        cause
    FROM latest_request_changes
    WHERE old_winner IS NOT NULL
    UNION ALL
    SELECT
        new_winner.data_solicitacao::DATE AS data_solicitada,
        new_winner.credito_solicitado,
        1 AS requests,
        cause
    FROM latest_request_changes
    WHERE new_winner IS NOT NULL
),

touched AS (
    SELECT
        data_solicitada,
        sum(credito_solicitado) AS credito_solicitado,
        sum(requests) AS requests,
        list(DISTINCT cause ORDER BY cause) AS object_keys
    FROM moved
    GROUP BY data_solicitada
),

totals AS (
    SELECT
        touched.data_solicitada,
        coalesce(credit_per_day.credito_solicitado, 0) + touched.credito_solicitado AS credito_solicitado,
        coalesce(credit_per_day.requests, 0) + touched.requests AS requests
    FROM touched
    LEFT JOIN credit_per_day ON touched.data_solicitada = credit_per_day.data_solicitada
    WHERE NOT $everything
    UNION ALL
    SELECT
        data_solicitacao::DATE AS data_solicitada,
        sum(credito_solicitado) AS credito_solicitado,
        count(*) AS requests
    FROM latest_requests
    WHERE $everything
    GROUP BY 1
)

SELECT
    days.data_solicitada,
    coalesce(touched.object_keys, []) AS object_keys,
    credit_per_day.credito_solicitado AS old_credito_solicitado,
    CASE WHEN totals.requests > 0 THEN totals.credito_solicitado END AS new_credito_solicitado,
    CASE WHEN totals.requests > 0 THEN totals.requests END AS requests
FROM (
    SELECT data_solicitada FROM touched
    UNION
    SELECT data_solicitada FROM totals
    UNION
    SELECT data_solicitada FROM credit_per_day WHERE $everything
) AS days
LEFT JOIN touched ON days.data_solicitada = touched.data_solicitada
LEFT JOIN totals ON days.data_solicitada = totals.data_solicitada
LEFT JOIN credit_per_day ON days.data_solicitada = credit_per_day.data_solicitada
