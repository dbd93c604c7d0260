-- Parameters: $changed_at, $run_id.
INSERT INTO credit_per_day_changes
SELECT
    $changed_at AS changed_at,
    $run_id AS run_id,
    data_solicitada,
    old_credito_solicitado,
    new_credito_solicitado,
    object_keys
FROM changed_days
WHERE old_credito_solicitado IS DISTINCT FROM new_credito_solicitado
ORDER BY data_solicitada
