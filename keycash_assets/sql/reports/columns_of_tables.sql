-- The columns that the tables of the warehouse have.
SELECT
    duckdb_columns.table_name,
    duckdb_columns.column_name,
    duckdb_columns.data_type
FROM duckdb_columns()
INNER JOIN duckdb_tables() ON duckdb_columns.table_oid = duckdb_tables.table_oid AND duckdb_columns.database_name = duckdb_tables.database_name
WHERE duckdb_columns.database_name = current_database() AND NOT duckdb_tables.temporary
