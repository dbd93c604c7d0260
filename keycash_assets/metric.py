"""Keeping ``credit_per_day`` up to date, with the restatement log.

``latest_requests`` remembers which request counts for each client. An update looks only at the
clients of whom loads brought requests (rows of ``landing_table`` whose load is pending in
``load_history``) or took some away (``removed_requests``), and moves what counts for them from day
to day: it costs what is new, not what is stored. All of this state can be built anew from
``landing_table``, which is what the full load does.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from keycash_assets import sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def update_credit_per_day(
    connection: "Connection", run_id: str, changed_at: datetime, *, everything: bool = False
) -> int:
    """Bring the metric up to date; the caller holds the transaction.

    Args:
        connection: The warehouse.
        run_id: Dagster run.
        changed_at: Moment of the change, for the restatement log.
        everything: Whether to compute all of it from ``landing_table``, rather than what pending
            loads brought and took away.

    Returns:
        How many days got another total.
    """
    stamp = {"changed_at": changed_at}
    scope = {"everything": everything}
    connection.execute(sql.statement("metric/latest_request_changes"), scope)
    connection.execute(sql.statement("metric/latest_requests_removal"))
    connection.execute(sql.statement("metric/latest_requests"))
    connection.execute(sql.statement("metric/changed_days"), scope)
    restatements = connection.execute(
        sql.statement("metric/credit_per_day_changes"), {**stamp, "run_id": run_id}
    ).fetchall()
    connection.execute(sql.statement("metric/credit_per_day_removal"))
    connection.execute(sql.statement("metric/credit_per_day"))
    connection.execute(sql.statement("metric/load_history"), stamp)
    return int(restatements[0][0])
