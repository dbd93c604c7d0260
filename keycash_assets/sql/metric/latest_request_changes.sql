-- Clients whose counting request is no longer the one in latest_requests, with the old and the new one.
-- The greatest (data_solicitacao, object_key, record_index) counts: what the files say, never when they came.
CREATE OR REPLACE TEMP TABLE latest_request_changes AS
WITH winners AS (
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
    WHERE problems IS NULL
    GROUP BY id
),

old_winners AS (
    SELECT
        id,
        {
            'data_solicitacao': data_solicitacao,
            'object_key': object_key,
            'record_index': record_index,
            'credito_solicitado': credito_solicitado
        } AS winner
    FROM latest_requests
)

SELECT
    coalesce(winners.id, old_winners.id) AS id,
    old_winners.winner AS old_winner,
    winners.winner AS new_winner,
    -- A later request arrived, or the one that counted left or was changed by its own file.
    CASE
        WHEN winners.winner IS NULL THEN old_winners.winner['object_key']
        WHEN old_winners.winner IS NULL OR winners.winner >= old_winners.winner THEN winners.winner['object_key']
        ELSE old_winners.winner['object_key']
    END AS cause
FROM winners
FULL JOIN old_winners ON winners.id = old_winners.id
WHERE winners.winner IS DISTINCT FROM old_winners.winner
