SELECT
    data_solicitada,
    credito_solicitado,
    requests
FROM credit_per_day
ORDER BY data_solicitada
