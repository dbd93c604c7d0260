-- Incremental = full. Days on which the kept-up total is not the one computed from the records: from all of them,
-- or from those of the clients of whom a load that is not published yet brought or took away requests, and what
-- counts for all others. Parameter: $everything.
WITH touched AS (
    SELECT id
    FROM landing_table
    WHERE problems IS NULL AND loaded_at IN (SELECT started_at FROM load_history WHERE published_at IS NULL)
    UNION
    SELECT id FROM removed_requests
),

winners AS (
    SELECT
        data_solicitacao,
        credito_solicitado
    FROM landing_table
    WHERE problems IS NULL AND ($everything OR id IN (SELECT id FROM touched))
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY data_solicitacao DESC, object_key DESC, record_index DESC) = 1
),

counting AS (
    FROM winners
    UNION ALL
    SELECT
        data_solicitacao,
        credito_solicitado
    FROM latest_requests
    WHERE NOT $everything AND id_hash NOT IN (SELECT md5_number(sha256(id)) FROM touched)
),

computed AS (
    SELECT
        data_solicitacao::DATE AS data_solicitada,
        sum(credito_solicitado) AS credito_solicitado,
        count(*) AS requests
    FROM counting
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
