"""Keeping ``credit_per_day`` up to date, with the restatement log.

``latest_requests`` remembers which request counts for each client. Each update finds the clients
for whom another one counts now, the days that this touches, and the files that caused it.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from keycash_assets import sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def update_credit_per_day(connection: "Connection", run_id: str, changed_at: datetime) -> int:
    """Bring the metric up to date; the caller holds the transaction.

    Args:
        connection: The warehouse.
        run_id: Dagster run.
        changed_at: Moment of the change, for the restatement log.

    Returns:
        How many days got another total.
    """
    stamp = {"changed_at": changed_at}
    connection.execute(sql.statement("metric/latest_request_changes"))
    connection.execute(sql.statement("metric/latest_requests_removal"))
    connection.execute(sql.statement("metric/latest_requests"))
    connection.execute(sql.statement("metric/changed_days"))
    restatements = connection.execute(
        sql.statement("metric/credit_per_day_changes"), {**stamp, "run_id": run_id}
    ).fetchall()
    connection.execute(sql.statement("metric/credit_per_day_removal"))
    connection.execute(sql.statement("metric/credit_per_day"))
    connection.execute(sql.statement("metric/load_history"), stamp)
    return int(restatements[0][0])
