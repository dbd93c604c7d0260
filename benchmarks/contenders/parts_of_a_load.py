"""Parts of ours: listing alone, a load that inserts nothing, or one that inserts into memory."""

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
from keycash_assets.backlog import find_backlog
from keycash_assets.bucket import Bucket
from keycash_assets.warehouse import connect_to_write, create_tables


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """List and compare; or do all that a load does, but insert nothing, or insert into memory."""
    bucket = Bucket(os.environ["KEYCASH_OBJECTS_URL"], os.environ)
    inserts = options["part"] == "into memory"
    database = ":memory:" if inserts else str(Path(options["folder"]) / "warehouse.duckdb")
    if options["part"] == "listing":
        with stopwatch:
            connection = connect_to_write(database)
            create_tables(connection)
            backlog = find_backlog(connection, bucket)
        return len(backlog.new) * int(options["records"])
    without = nullcontext() if inserts else patch.object(loading, "_insert")
    with stopwatch, without:
        connection = connect_to_write(database)
        connection.execute("SET memory_limit = $limit", {"limit": most_memory()})
        summary = loading.load_everything_new(connection, bucket, "benchmark")
    ((rows,),) = connection.execute("SELECT count(*) FROM landing_table").fetchall()
    return summary.records if rows == (summary.records if inserts else 0) else 0


if __name__ == "__main__":
    run_contender(work)
