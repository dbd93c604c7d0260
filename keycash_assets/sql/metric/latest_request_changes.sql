-- Clients whose counting request is no longer the one in latest_requests, with the old and the new one.
-- The greatest (data_solicitacao, object_key, record_index) counts: what the files say, never when they came.
-- Only clients of pending loads are looked at. Where the request that counted is gone, and only there, all that
-- the client ever asked for is searched. Parameter: $everything, to compute all of it from landing_table alone.
CREATE OR REPLACE TEMP TABLE latest_request_changes AS
WITH arrived AS (
    SELECT
        id,
        max(
            {
                'data_solicitacao': data_solicitacao,
                'object_key': object_key,
                'record_index': record_index,
                'credito_solicitado': credito_solicitado
            }
        ) AS winner
    FROM landing_table
    WHERE
        problems IS NULL
        AND ($everything OR loaded_at IN (SELECT started_at FROM load_history WHERE credit_per_day_at IS NULL))
    GROUP BY id
),

affected AS (
    SELECT
        id,
        md5_number_lower(id) AS id_hash
    FROM (
        SELECT id FROM arrived
        UNION
        SELECT id FROM removed_requests
        UNION
        SELECT id FROM latest_requests WHERE $everything
    ) AS touched
),

old_winners AS (
    SELECT
        latest_requests.id,
        {
            'data_solicitacao': latest_requests.data_solicitacao,
            'object_key': latest_requests.object_key,
            'record_index': latest_requests.record_index,
            'credito_solicitado': latest_requests.credito_solicitado
        } AS winner,
        removed.id IS NULL AND NOT $everything AS stands
    FROM latest_requests
    INNER JOIN affected ON latest_requests.id_hash = affected.id_hash AND latest_requests.id = affected.id
    LEFT JOIN (SELECT DISTINCT * FROM removed_requests) AS removed
        ON
            latest_requests.id = removed.id
            AND latest_requests.object_key = removed.object_key
            AND latest_requests.record_index = removed.record_index
),

searched AS (
    SELECT
        id,
        max(
            {
                'data_solicitacao': data_solicitacao,
                'object_key': object_key,
                'record_index': record_index,
                'credito_solicitado': credito_solicitado
            }
        ) AS winner
    FROM landing_table
    WHERE problems IS NULL AND id IN (SELECT id FROM old_winners WHERE NOT stands AND NOT $everything)
    GROUP BY id
),

winners AS (
    SELECT
        id,
        max(winner) AS winner
    FROM (
        SELECT id, winner FROM arrived
        UNION ALL
        SELECT id, winner FROM searched
        UNION ALL
        SELECT id, winner FROM old_winners WHERE stands
    ) AS candidates
    GROUP BY id
)

SELECT
    affected.id,
    affected.id_hash,
    old_winners.winner AS old_winner,
    winners.winner AS new_winner,
    -- A later request arrived, or the one that counted left or was changed by its own file.
    CASE
        WHEN winners.winner IS NULL THEN old_winners.winner['object_key']
        WHEN old_winners.winner IS NULL OR winners.winner >= old_winners.winner THEN winners.winner['object_key']
        ELSE old_winners.winner['object_key']
    END AS cause
FROM affected
LEFT JOIN winners ON affected.id = winners.id
LEFT JOIN old_winners ON affected.id = old_winners.id
WHERE winners.winner IS DISTINCT FROM old_winners.winner
