"""The metric: credit asked for per day, where only each client's most recent request counts."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import dagster as dg

from keycash_assets.assets.landing_table import WAREHOUSE_POOL
from keycash_assets.metric import update_credit_per_day
from keycash_assets.presentation import column_schema, daily_plot, table_metadata
from keycash_assets.resources import Warehouse
from keycash_assets.sql import statement
from keycash_assets.warehouse import create_tables, transaction

FRESHNESS = dg.FreshnessPolicy.cron(
    deadline_cron="30 6 * * *",
    lower_bound_delta=timedelta(minutes=30),
    timezone="America/Sao_Paulo",
)
"""The daily full load starts at 06:00 and is to be through half an hour later."""


@dg.multi_asset(
    group_name="warehouse",
    pool=WAREHOUSE_POOL,
    specs=[
        dg.AssetSpec(
            "credit_requests",
            deps=["landing_table"],
            kinds={"duckdb", "view"},
            metadata=column_schema("credit_requests"),
            description=(
                "The valid requests. `is_latest` says which one counts for its client; the others "
                "name the request that superseded them."
            ),
        ),
        dg.AssetSpec(
            "credit_per_day",
            deps=["landing_table", "object_ledger"],
            kinds={"duckdb"},
            freshness_policy=FRESHNESS,
            metadata=column_schema("credit_per_day"),
            description=(
                "`credito_solicitado` in BRL, summed per day requested, where only each client's "
                "most recent request counts. Days without such a request have no row. What a file "
                "says decides, never the order in which files arrived. `keycash explain DAY` leads "
                "from a total to each request behind it."
            ),
        ),
        dg.AssetSpec(
            "credit_per_day_changes",
            deps=["landing_table"],
            kinds={"duckdb"},
            metadata=column_schema("credit_per_day_changes"),
            description=(
                "The restatement log: whenever a day's total changed, what it was, what it became, "
                "and the files that caused it. It only grows."
            ),
        ),
    ],
)
def credit_metric(
    context: dg.AssetExecutionContext, warehouse: Warehouse
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]  # no value
    """Bring the metric up to date with what was loaded."""
    started = time.monotonic()
    with warehouse.get_connection() as connection:
        create_tables(connection)
        with transaction(connection):
            restated = update_credit_per_day(
                connection, context.run.run_id, datetime.now(timezone.utc)
            )
        # One update makes all three.
        seconds = {"seconds": round(time.monotonic() - started, 3)}
        days = connection.execute(statement("reports/daily_series")).fetchall()
        yield dg.MaterializeResult(
            asset_key="credit_requests",
            metadata={
                **table_metadata(
                    connection, "credit_requests", "data_solicitacao DESC, id", "* EXCLUDE (extra)"
                ),
                **seconds,
            },
        )
        yield dg.MaterializeResult(
            asset_key="credit_per_day",
            metadata={
                "total": f"R$ {sum(total for _, total, _ in days):,.2f}",
                "days": len(days),
                "requests": sum(requests for _, _, requests in days),
                "days restated": restated,
                "daily series": daily_plot([(day, total) for day, total, _ in days]),
                **table_metadata(connection, "credit_per_day", "data_solicitada DESC"),
                **seconds,
            },
        )
        yield dg.MaterializeResult(
            asset_key="credit_per_day_changes",
            metadata={
                **table_metadata(
                    connection, "credit_per_day_changes", "changed_at DESC, data_solicitada"
                ),
                **seconds,
            },
        )
