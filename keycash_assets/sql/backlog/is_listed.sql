-- Whether this connection has listed the bucket before.
SELECT count(*) > 0 AS is_listed
FROM duckdb_tables()
WHERE temporary AND table_name = 'listed_objects'
