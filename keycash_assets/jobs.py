"""The jobs, and the schedule that launches one of them."""

import dagster as dg

from keycash_assets.assets.landing_table import INGEST_TAG, REBUILD_TAG, REPLAY_TAG

WAREHOUSE_ASSETS = dg.AssetSelection.assets(
    "landing_table",
    "object_ledger",
    "quarantine",
    "credit_requests",
    "credit_per_day",
    "credit_per_day_changes",
    "published_snapshot",
)

upload_source_files = dg.define_asset_job(
    "upload_source_files",
    selection=dg.AssetSelection.assets("raw_files", "s3_objects"),
    description="Has the source files at hand and puts them into the bucket.",
)

ingest_objects = dg.define_asset_job(
    "ingest_objects",
    selection=WAREHOUSE_ASSETS,
    tags={INGEST_TAG: "true"},
    description="Loads new objects, brings the metric up to date, checks and publishes.",
)

full_load = dg.define_asset_job(
    "full_load",
    selection=WAREHOUSE_ASSETS,
    tags={REBUILD_TAG: "true"},
    description=(
        "Builds everything anew from every object at once, proves that the result is what the "
        "loads before it had built, checks and publishes."
    ),
)

replay_objects = dg.define_asset_job(
    "replay_objects",
    selection=WAREHOUSE_ASSETS,
    tags={REPLAY_TAG: "true"},
    description=(
        "Opens objects again, loaded or not: those of `replay_keys` in the settings of "
        "`landing_table`, or all with something in quarantine. What a file says as before changes "
        "nothing."
    ),
)

daily_full_load = dg.ScheduleDefinition(
    name="daily_full_load",
    job=full_load,
    cron_schedule="0 6 * * *",
    execution_timezone="America/Sao_Paulo",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="The full load, every morning at six in São Paulo.",
)
