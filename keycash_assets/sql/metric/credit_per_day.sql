INSERT INTO credit_per_day
SELECT
    data_solicitada,
    new_credito_solicitado,
    requests
FROM changed_days
WHERE requests IS NOT NULL
