-- Schema drift: fields the contract does not name, and name or idade of another type than it says.
WITH drift AS (
    SELECT
        object_key,
        unnest(
            list_concat(
                CASE WHEN extra IS NULL THEN [] ELSE json_keys(extra) END,
                CASE WHEN name IS NULL AND json_type(record, 'name') <> 'NULL' THEN ['name (not a string)'] ELSE [] END,
                CASE WHEN idade IS NULL AND json_type(record, 'idade') <> 'NULL' THEN ['idade (not an integer)'] ELSE [] END
            )
        ) AS field
    FROM landing_table
    WHERE (extra IS NOT NULL OR name IS NULL OR idade IS NULL) AND json_type(record) = 'OBJECT'
)

SELECT
    field,
    count(*) AS records,
    min(object_key) AS first_object_key
FROM drift
GROUP BY field
ORDER BY field
