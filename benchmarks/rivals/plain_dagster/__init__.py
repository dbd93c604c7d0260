"""Rival: a Dagster project on S3 as Dagster's own examples lead to it, with default settings."""
