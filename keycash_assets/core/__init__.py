"""Pure core: no dagster, no network, no duckdb; the same input always gives the same output."""
