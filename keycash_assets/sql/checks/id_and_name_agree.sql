-- Clients with more than one name.
WITH several AS (
    SELECT id
    FROM landing_table
    WHERE problems IS NULL
    GROUP BY id
    HAVING min(hash(name)) <> max(hash(name)) -- numbers, as names would fill the memory
)

SELECT
    id,
    count(DISTINCT name) AS names,
    min(name) AS first_name,
    max(name) AS last_name
FROM landing_table
WHERE problems IS NULL AND id IN (SELECT id FROM several)
GROUP BY id
HAVING count(DISTINCT name) > 1
ORDER BY id
