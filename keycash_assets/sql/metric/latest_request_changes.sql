-- Clients whose counting request is no longer the one in latest_requests, with the old and the new one.
-- The greatest (data_solicitacao, object_key, record_index) counts: what the files say, never when they came.
-- Only clients of pending loads are looked at. Where the request that counted is gone, and only there, all that
-- the client ever asked for is searched. Parameter: $everything, to compute all of it from landing_table alone.
CREATE OR REPLACE TEMP TABLE latest_request_changes AS
WITH arrived AS (
    SELECT
        id,
        data_solicitacao,
        object_key,
        record_index,
        credito_solicitado
    FROM landing_table
    WHERE
        problems IS NULL
        AND ($everything OR loaded_at IN (SELECT started_at FROM load_history WHERE credit_per_day_at IS NULL))
),

affected AS (
    SELECT
        id,
        md5_number(sha256(id)) AS id_hash
    FROM (
        SELECT id FROM arrived
        UNION
        SELECT id FROM removed_requests
        UNION
        SELECT id FROM latest_requests WHERE $everything
    ) AS touched
),

-- Without keys, which take longest to read.
old_moments AS (
    SELECT
        affected.id,
        affected.id_hash,
        latest_requests.data_solicitacao,
        latest_requests.credito_solicitado
    FROM latest_requests
    INNER JOIN affected ON latest_requests.id_hash = affected.id_hash
),

-- Clients of whom the key has to be known: it decides where moments are the same, and tells what was taken away.
undecided AS (
    SELECT
        id,
        id_hash
    FROM affected
    WHERE
        $everything
        OR id IN (SELECT id FROM removed_requests)
        OR id IN (
            SELECT old_moments.id
            FROM old_moments
            INNER JOIN arrived
                ON old_moments.id = arrived.id AND old_moments.data_solicitacao = arrived.data_solicitacao
            WHERE NOT $everything
        )
),

old_requests AS (
    SELECT
        id,
        data_solicitacao,
        NULL::VARCHAR AS object_key,
        NULL::BIGINT AS record_index,
        credito_solicitado
    FROM old_moments
    WHERE NOT $everything AND id NOT IN (SELECT id FROM undecided)
    UNION ALL
    SELECT
        undecided.id,
        latest_requests.data_solicitacao,
        latest_requests.object_key,
        latest_requests.record_index,
        latest_requests.credito_solicitado
    FROM latest_requests
    INNER JOIN undecided ON latest_requests.id_hash = undecided.id_hash
),

old_winners AS (
    SELECT
        old_requests.*,
        removed.id IS NULL AND NOT $everything AS stands
    FROM old_requests
    LEFT JOIN (SELECT DISTINCT * FROM removed_requests) AS removed
        ON
            old_requests.id = removed.id
            AND old_requests.object_key = removed.object_key
            AND old_requests.record_index = removed.record_index
),

searched AS (
    SELECT
        id,
        data_solicitacao,
        object_key,
        record_index,
        credito_solicitado
    FROM landing_table
    WHERE problems IS NULL AND id IN (SELECT id FROM old_winners WHERE NOT stands AND NOT $everything)
),

-- A window, not max(): that one keeps its values where no memory limit reaches, and takes three times as long.
winners AS (
    SELECT *
    FROM (
        FROM arrived
        UNION ALL
        FROM searched
        UNION ALL
        SELECT * EXCLUDE (stands) FROM old_winners WHERE stands
    ) AS candidates
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY data_solicitacao DESC, object_key DESC, record_index DESC) = 1
),

changes AS (
    SELECT
        affected.id,
        affected.id_hash,
        CASE
            WHEN old_winners.id IS NOT NULL THEN {
                'data_solicitacao': old_winners.data_solicitacao,
                'object_key': old_winners.object_key,
                'record_index': old_winners.record_index,
                'credito_solicitado': old_winners.credito_solicitado
            }
        END AS old_winner,
        CASE
            WHEN winners.id IS NOT NULL THEN {
                'data_solicitacao': winners.data_solicitacao,
                'object_key': winners.object_key,
                'record_index': winners.record_index,
                'credito_solicitado': winners.credito_solicitado
            }
        END AS new_winner
    FROM affected
    LEFT JOIN winners ON affected.id = winners.id
    LEFT JOIN old_winners ON affected.id = old_winners.id
)

SELECT
    id,
    id_hash,
    old_winner,
    new_winner,
    -- A later request arrived, or the one that counted left or was changed by its own file.
    CASE
        WHEN new_winner IS NULL THEN old_winner['object_key']
        WHEN old_winner IS NULL OR new_winner >= old_winner THEN new_winner['object_key']
        ELSE old_winner['object_key']
    END AS cause
FROM changes
WHERE new_winner IS DISTINCT FROM old_winner
