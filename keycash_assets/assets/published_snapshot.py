"""What readers see: the state after the last complete, checked run."""

import time

import dagster as dg

from keycash_assets.assets.landing_table import REBUILD_TAG, WAREHOUSE_POOL
from keycash_assets.resources import Warehouse


@dg.asset(
    group_name="serving",
    kinds={"duckdb"},
    pool=WAREHOUSE_POOL,
    deps=[
        "landing_table",
        "object_ledger",
        "quarantine",
        "credit_requests",
        "credit_per_day",
        "credit_per_day_changes",
    ],
)
def published_snapshot(
    context: dg.AssetExecutionContext, warehouse: Warehouse
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no value
    """The read-only copy that dashboards, the command line and people open.

    It is swapped in whole once every blocking check has passed: readers see the numbers before or
    the numbers after, never something in between, and never wait for a load. A full load, and a
    run of this asset alone, copy all of the warehouse; otherwise only what has changed is written.
    """
    started = time.monotonic()
    is_alone = len(context.run.asset_selection or ()) == 1
    anew = is_alone or REBUILD_TAG in context.run.tags
    published_at = warehouse.publish(context.run.run_id, anew=anew)
    return dg.MaterializeResult(
        metadata={
            "published": dg.MetadataValue.path(warehouse.published),
            "as of": published_at.isoformat(),
            "seconds": round(time.monotonic() - started, 3),
        }
    )
