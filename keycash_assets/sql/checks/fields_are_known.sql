-- Schema drift: fields the contract does not name, and name or idade of another type than it says.
-- The two are looked for separately, and long texts not taken apart: of thousands of large records DuckDB would
-- hold each text, and all that is read in it, at once.
WITH drift AS (
    SELECT
        object_key,
        unnest(
            CASE
                WHEN strlen(extra) > 16384 THEN ['(more than 16,384 bytes of other fields in a record)']
                ELSE json_keys(extra)
            END
        ) AS field
    FROM landing_table
    WHERE extra IS NOT NULL
    UNION ALL
    SELECT
        object_key,
        unnest(
            list_concat(
                CASE WHEN name IS NULL AND json_type(record, 'name') <> 'NULL' THEN ['name (not a string)'] ELSE [] END,
                CASE WHEN idade IS NULL AND json_type(record, 'idade') <> 'NULL' THEN ['idade (not an integer)'] ELSE [] END
            )
        ) AS field
    FROM landing_table
    WHERE (name IS NULL OR idade IS NULL) AND starts_with(record, '{')
)

SELECT
    field,
    count(*) AS records,
    min(object_key) AS first_object_key
FROM drift
GROUP BY field
ORDER BY field
