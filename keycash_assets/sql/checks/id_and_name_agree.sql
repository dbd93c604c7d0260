-- Clients with more than one name.
SELECT
    id,
    count(DISTINCT name) AS names,
    min(name) AS first_name,
    max(name) AS last_name
FROM landing_table
WHERE problems IS NULL
GROUP BY id
HAVING count(DISTINCT name) > 1
ORDER BY id
