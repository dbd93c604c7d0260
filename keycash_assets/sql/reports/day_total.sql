-- Parameter: $day.
SELECT
    credito_solicitado,
    requests
FROM credit_per_day
WHERE data_solicitada = $day
