-- Requests dated later than now in São Paulo (a day's grace for clocks that differ).
SELECT
    object_key,
    record_index,
    data_solicitacao
FROM landing_table
WHERE problems IS NULL AND data_solicitacao > timezone('America/Sao_Paulo', now()) + INTERVAL 1 DAY
ORDER BY object_key, record_index
