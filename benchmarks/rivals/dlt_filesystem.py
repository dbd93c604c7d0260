"""Rival: dlt's filesystem source into DuckDB."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

# Imports are no part of a load: dlt imports these while it runs.
import boto3.s3.inject  # noqa: F401
import dlt
import dlt.destinations.impl.duckdb.duck
import duckdb  # noqa: F401
import pandas as pd  # noqa: F401
import s3fs  # noqa: F401
from dlt.sources.filesystem import filesystem

from benchmarks.measuring import Stopwatch, run_contender


def read_documents(files: Any) -> Iterator[Any]:
    """The requests of each document, as dlt's guide reads JSON files."""
    for file in files:
        with file.open() as opened:
            yield json.load(opened)["clientes"]


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Extract, normalize and load into a new database file."""
    os.environ["DLT_DATA_DIR"] = options["folder"]
    # It would tell its makers of the run while it is measured.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    credentials = {
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"],
        "region_name": os.environ["AWS_REGION"],
    }
    pipeline = dlt.pipeline(
        pipeline_name="rival",
        pipelines_dir=f"{options['folder']}/pipelines",
        destination=dlt.destinations.duckdb(f"{options['folder']}/rival.duckdb"),
        dataset_name="landing",
    )
    with stopwatch:
        source = filesystem(
            bucket_url=os.environ["KEYCASH_OBJECTS_URL"],
            credentials=credentials,
            file_glob="*.json",
        )
        pipeline.run(source | dlt.transformer(read_documents, name="requests"))
    with (
        pipeline.sql_client() as client,
        client.execute_query("SELECT count(*) FROM requests") as query,
    ):
        return int(query.fetchall()[0][0])


if __name__ == "__main__":
    run_contender(work)
