-- The days whose total a load changed. Parameter: $run_id.
SELECT
    data_solicitada,
    old_credito_solicitado,
    new_credito_solicitado,
    coalesce(new_credito_solicitado, 0) - coalesce(old_credito_solicitado, 0) AS difference,
    object_keys
FROM credit_per_day_changes
WHERE run_id = $run_id
ORDER BY data_solicitada
