-- What the last full load found to be other than the sensor's loads had left it.
SELECT
    started_at,
    run_id,
    unnest(
        list_concat(
            list_transform(differing_objects, lambda object_key: 'object ' || object_key),
            list_transform(differing_days, lambda day: 'day ' || day::VARCHAR)
        )
    ) AS difference
FROM load_history
WHERE kind = 'full' AND started_at = (SELECT max(started_at) FROM load_history WHERE kind = 'full')
