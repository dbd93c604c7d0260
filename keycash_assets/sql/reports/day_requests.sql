-- The requests that make a day's total. Parameter: $day.
SELECT
    id,
    name,
    credito_solicitado,
    data_solicitacao,
    object_key,
    record_index
FROM credit_requests
WHERE is_latest AND data_solicitacao::DATE = $day
ORDER BY data_solicitacao, id
