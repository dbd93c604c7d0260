"""Every record of every object, with the ledger and the quarantine that account for them."""

import time
import warnings

import dagster as dg

from keycash_assets.loading import (
    load_again,
    load_everything_again,
    load_everything_new,
    load_keys,
    quarantined_keys,
)
from keycash_assets.presentation import column_schema, load_metadata, query_preview, table_metadata
from keycash_assets.resources import ObjectStore, Warehouse
from keycash_assets.sql import statement
from keycash_assets.warehouse import create_tables

# Known and wanted: nobody can act on the warning, which every command would print.
warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)

objects_partitions = dg.DynamicPartitionsDefinition(name="objects")

WAREHOUSE_POOL = "warehouse"

REBUILD_TAG = "keycash/rebuild"
"""On a run that loads every object again.

A tag and not a setting: Dagster leaves the settings of a job out of runs without a partition.
"""


INGEST_TAG = "keycash/ingest"
"""On a run that takes in what is new, and checks no more than that where that is enough."""

REPLAY_TAG = "keycash/replay"
"""On a run that opens objects again, for the same reason."""


class LoadConfig(dg.Config):
    """Which objects a run without partitions looks at.

    Attributes:
        object_keys: Keys of those that may be new; none for all that the bucket lists.
        replay_keys: Keys of those that the job ``replay_objects`` opens again; none for all with
            something in quarantine.
    """

    object_keys: list[str] = []  # noqa: RUF012  pydantic copies defaults
    replay_keys: list[str] = []  # noqa: RUF012  pydantic copies defaults


@dg.asset(
    group_name="warehouse",
    kinds={"duckdb"},
    deps=["s3_objects"],
    partitions_def=objects_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=WAREHOUSE_POOL,
    metadata=column_schema("landing_table"),
)
def landing_table(
    context: dg.AssetExecutionContext,
    config: LoadConfig,
    object_store: ObjectStore,
    warehouse: Warehouse,
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # no value
    """One row for every credit request in every file in the bucket, exactly as the file has it.

    Nothing is judged away: a record that cannot count says why in `problems`. `object_key` and
    `record_index` lead back to the line in the file. A new version of a file replaces the rows of
    the one before, and files that cannot be read at all stand in `quarantine`.

    Each file is a partition and is loaded as it arrives. Materialized without partitions, it loads
    whatever is new in the bucket, or among the `object_keys` of its settings; the job `full_load`
    loads everything again, and `replay_objects` the objects that are named to it, or all with
    something in quarantine.
    """
    bucket = object_store.bucket()
    with warehouse.get_connection() as connection:
        if REPLAY_TAG in context.run.tags:
            create_tables(connection)
            keys = config.replay_keys or quarantined_keys(connection)
            summary = load_again(connection, bucket, keys, context.run.run_id)
        elif REBUILD_TAG in context.run.tags:
            summary = load_everything_again(
                connection, bucket, context.run.run_id, retract=warehouse.retract_deleted
            )
        elif context.has_partition_key or context.has_partition_key_range or config.object_keys:
            keys = config.object_keys or list(context.partition_keys)
            summary = load_keys(connection, bucket, keys, context.run.run_id)
        else:
            summary = load_everything_new(
                connection, bucket, context.run.run_id, retract=warehouse.retract_deleted
            )
        return dg.MaterializeResult(
            metadata={
                **load_metadata(summary),
                **table_metadata(connection, "landing_table", "loaded_at DESC, object_key"),
            }
        )


@dg.multi_asset(
    group_name="warehouse",
    pool=WAREHOUSE_POOL,
    specs=[
        dg.AssetSpec(
            "object_ledger",
            deps=["landing_table"],
            kinds={"duckdb"},
            metadata=column_schema("object_ledger"),
            description=(
                "Every version of every file ever seen, and how it ended: loaded, unchanged, "
                "replaced, quarantined or deleted. It commits together with the rows, so it is "
                "the memory of what was loaded, and the proof that nothing is missing."
            ),
        ),
        dg.AssetSpec(
            "quarantine",
            deps=["landing_table"],
            kinds={"duckdb"},
            metadata=column_schema("quarantine"),
            description=(
                "What cannot be read in the files, with the offending bytes and the reason. Put a "
                "mended file under the same key and its entry goes."
            ),
        ),
    ],
)
def load_accounts(warehouse: Warehouse):  # type: ignore[no-untyped-def]  # noqa: D103
    started = time.monotonic()
    with warehouse.get_connection() as connection:
        yield dg.MaterializeResult(
            asset_key="object_ledger",
            metadata={
                "by status": query_preview(connection, statement("reports/ledger_by_status")),
                **table_metadata(connection, "object_ledger", "finished_at DESC, object_key"),
                "seconds": round(time.monotonic() - started, 3),
            },
        )
        started = time.monotonic()
        yield dg.MaterializeResult(
            asset_key="quarantine",
            metadata={
                **table_metadata(connection, "quarantine", "quarantined_at DESC, object_key"),
                "seconds": round(time.monotonic() - started, 3),
            },
        )
