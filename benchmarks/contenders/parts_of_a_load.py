"""Parts of ours: a load that inserts nothing, or inserts into memory; what is left is the rest."""

import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

# Imports are no part of a load.
import arro3.core  # noqa: F401  obstore's listing imports it
import duckdb  # noqa: F401
import obstore  # noqa: F401
import pandas as pd  # noqa: F401  pyarrow imports it with the first array, if it is there
import pyarrow.dataset  # noqa: F401  DuckDB imports it with the first table

from benchmarks.measuring import Stopwatch, most_memory, run_contender
from keycash_assets import loading
from keycash_assets.bucket import Bucket
from keycash_assets.warehouse import connect_to_write


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Do all that a load does, but insert nothing, or insert into memory."""
    bucket = Bucket(os.environ["KEYCASH_OBJECTS_URL"], os.environ)
    inserts = options["inserts"] == "yes"
    database = ":memory:" if inserts else str(Path(options["folder"]) / "warehouse.duckdb")
    without = nullcontext() if inserts else patch.object(loading, "_insert")
    with stopwatch, without:
        connection = connect_to_write(database)
        connection.execute("SET memory_limit = $limit", {"limit": most_memory()})
        summary = loading.load_everything_new(connection, bucket, "benchmark")
    ((rows,),) = connection.execute("SELECT count(*) FROM landing_table").fetchall()
    return summary.records if rows == (summary.records if inserts else 0) else 0


if __name__ == "__main__":
    run_contender(work)
