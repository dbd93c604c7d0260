-- How a day's total came to be what it is. Parameter: $day.
SELECT
    changed_at,
    old_credito_solicitado,
    new_credito_solicitado,
    object_keys,
    run_id
FROM credit_per_day_changes
WHERE data_solicitada = $day
ORDER BY changed_at
