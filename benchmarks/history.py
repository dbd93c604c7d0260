"""Warehouses with millions of requests in them, made in SQL and kept from one call to the next."""

import hashlib
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.sql import statement
from keycash_assets import sql
from keycash_assets.metric import update_credit_per_day
from keycash_assets.warehouse import connect_to_write, create_tables, transaction

RECORDS_PER_OBJECT = 5
"""As in the real objects, so that what is done for each object weighs as much as there."""

_MEMORY_LIMIT = "4GB"
"""Of the first metric alone, whose restatements name each object of each day: 10 million names."""

_LOADED_AT = datetime(2024, 1, 1, tzinfo=timezone.utc)


def history(bench: Bench, rows: int, clients: int) -> Path:
    """A warehouse that holds this many requests of so many clients, its metric up to date.

    It is not to be changed: work on a copy.
    """
    path = bench.home / "history" / f"{rows}-{clients}-{_fingerprint()}.duckdb"
    if path.exists():
        return path
    bench.say(f"making a history of {rows:,} requests of {clients:,} clients")
    path.parent.mkdir(exist_ok=True)
    # Those of an older design, or of a call that was stopped.
    for left_over in path.parent.glob(f"{rows}-{clients}-*"):
        left_over.unlink()
    unfinished = path.with_suffix(".unfinished")
    connection = connect_to_write(str(unfinished))
    create_tables(connection)
    loaded_at = {"loaded_at": _LOADED_AT}
    with transaction(connection):
        connection.execute(
            statement("history_landing_table"),
            {**loaded_at, "rows": rows, "clients": clients, "records": RECORDS_PER_OBJECT},
        )
        connection.execute(statement("history_object_ledger"), loaded_at)
        connection.execute(statement("history_load"), {**loaded_at, "rows": rows})
    bench.say("computing its metric")
    connection.execute("SET memory_limit = $limit", {"limit": _MEMORY_LIMIT})
    with transaction(connection):
        update_credit_per_day(connection, "history", _LOADED_AT)
    connection.close()
    unfinished.replace(path)
    return path


def _fingerprint() -> str:
    """Changes when a table, how the metric is kept, or the shape of the history changes."""
    statements = [*sql.statement_names("tables"), *sql.statement_names("metric")]
    text = "".join(map(sql.statement, statements)) + "".join(
        map(statement, ("history_landing_table", "history_object_ledger", "history_load"))
    )
    return hashlib.sha256(f"{RECORDS_PER_OBJECT} {text}".encode()).hexdigest()[:12]
