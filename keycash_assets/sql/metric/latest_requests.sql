INSERT INTO latest_requests
SELECT
    id_hash,
    id,
    new_winner.data_solicitacao,
    new_winner.object_key,
    new_winner.record_index,
    new_winner.credito_solicitado
FROM latest_request_changes
WHERE new_winner IS NOT NULL
