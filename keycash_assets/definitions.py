"""The one place where assets, checks, jobs, sensor and resources are put together.

Dagster loads ``defs``; the environment is read then, not at import.
"""

import os

import dagster as dg

from keycash_assets.assets.credit_per_day import credit_metric
from keycash_assets.assets.dashboards import dashboards
from keycash_assets.assets.landing_table import landing_table, load_accounts
from keycash_assets.assets.published_snapshot import published_snapshot
from keycash_assets.assets.raw_files import raw_files
from keycash_assets.assets.s3_objects import s3_objects
from keycash_assets.checks import landing_checks, metric_checks
from keycash_assets.jobs import (
    daily_full_load,
    full_load,
    ingest_objects,
    replay_objects,
    upload_source_files,
)
from keycash_assets.resources import (
    BucketEvents,
    ObjectStore,
    Published,
    SourceFolder,
    Warehouse,
)
from keycash_assets.retention import daily_retention, delete_old_runs
from keycash_assets.sensors import s3_object_sensor
from keycash_assets.settings import RETRACT_DELETED, Settings
from keycash_assets.sources import without_secrets


@dg.definitions
def defs() -> dg.Definitions:
    """The platform, with the settings of the environment."""
    return build_definitions(Settings.from_environment(os.environ))


def build_definitions(settings: Settings) -> dg.Definitions:
    """The platform, with the settings given.

    Runs execute in one process: a load takes less time than the start of another process would.
    """
    return dg.Definitions(
        assets=[
            raw_files,
            s3_objects,
            landing_table,
            load_accounts,
            credit_metric,
            published_snapshot,
            *dashboards(settings.superset_url),
        ],
        asset_checks=[landing_checks, metric_checks],
        jobs=[upload_source_files, ingest_objects, full_load, replay_objects, delete_old_runs],
        sensors=[s3_object_sensor],
        schedules=[daily_full_load, daily_retention],
        resources={
            "source_folder": SourceFolder(
                source=without_secrets(settings.source),
                destination=str(settings.home / "raw_files"),
            ),
            "object_store": ObjectStore(home=str(settings.home), objects_url=settings.objects_url),
            "bucket_events": BucketEvents(
                queue_url=settings.events_queue_url, reconcile_seconds=settings.reconcile_seconds
            ),
            "warehouse": Warehouse(
                database=settings.warehouse,
                published=str(settings.published),
                retract_deleted=settings.deleted_objects == RETRACT_DELETED,
            ),
            "published": Published(warehouse=settings.warehouse, published=str(settings.published)),
        },
        executor=dg.in_process_executor,
    )
