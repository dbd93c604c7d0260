"""Ours: everything new in the bucket into a new warehouse, as a bulk load does it."""

import os
from collections.abc import Mapping
from pathlib import Path

# Imports are no part of a load.
import arro3.core  # noqa: F401  obstore's listing imports it
import duckdb  # noqa: F401
import obstore  # noqa: F401
import pandas as pd  # noqa: F401  pyarrow imports it with the first array, if it is there
import pyarrow.dataset  # noqa: F401  DuckDB imports it with the first table

from benchmarks.measuring import Stopwatch, run_contender
from keycash_assets.bucket import Bucket
from keycash_assets.loading import load_everything_new
from keycash_assets.warehouse import connect_to_write


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """List, compare with the ledger, fetch, prove, read, type, insert, commit, close."""
    bucket = Bucket(os.environ["KEYCASH_OBJECTS_URL"], os.environ)
    database = str(Path(options["folder"]) / "warehouse.duckdb")
    with stopwatch:
        connection = connect_to_write(database)
        summary = load_everything_new(connection, bucket, "benchmark")
        connection.close()
    connection = connect_to_write(database)
    ((rows, objects),) = connection.execute(
        "SELECT count(*), count(DISTINCT object_key) FROM landing_table WHERE problems IS NULL"
    ).fetchall()
    if (rows, objects) != (summary.records, summary.objects_loaded):
        return 0
    return int(rows)


if __name__ == "__main__":
    run_contender(work)
