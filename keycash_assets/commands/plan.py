"""``keycash plan``: what the next tick would do, done to a copy that is thrown away."""

import os
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from keycash_assets.bucket import bucket_of
from keycash_assets.commands.console import console, literal, print_table
from keycash_assets.errors import KeycashError
from keycash_assets.loading import load_everything_new
from keycash_assets.local.object_store_server import object_store_of
from keycash_assets.metric import update_credit_per_day
from keycash_assets.settings import RETRACT_DELETED, Settings
from keycash_assets.sql import statement
from keycash_assets.warehouse import connect_to_write, transaction

_PLAN = {"run_id": "plan"}


def plan(settings: Settings) -> None:
    """Print which objects would be loaded, replaced or quarantined, and how days would change.

    The published snapshot is copied to a temporary folder and loaded there by the same statements
    as ever: nothing that anybody else sees is written.

    Raises:
        KeycashError: The bucket or the snapshot cannot be read, or the warehouse is MotherDuck.
    """
    if settings.uses_motherduck:
        raise KeycashError(
            "`keycash plan` works on a copy of a local warehouse; KEYCASH_WAREHOUSE is MotherDuck."
        )
    with (
        object_store_of(settings),
        tempfile.TemporaryDirectory(prefix="keycash-plan-") as folder,
    ):
        bucket = bucket_of(settings, os.environ)
        copy = Path(folder) / "plan.duckdb"
        if settings.published.exists():
            shutil.copyfile(settings.published, copy)
        connection = connect_to_write(str(copy))
        try:
            summary = load_everything_new(
                connection,
                bucket,
                _PLAN["run_id"],
                retract=settings.deleted_objects == RETRACT_DELETED,
            )
            with transaction(connection):
                update_credit_per_day(connection, _PLAN["run_id"], datetime.now(timezone.utc))
            objects = connection.execute(statement("reports/planned_objects"), _PLAN).fetchall()
            days = connection.execute(statement("reports/planned_days"), _PLAN).fetchall()
        finally:
            connection.close()
    if not objects:
        console.print(f"Nothing new in {literal(bucket.url)}: the next tick loads nothing.")
        return
    print_table(
        f"The next tick in {bucket.url}",
        ["object", "action", "bytes", "records", "with problems", "why"],
        objects,
        wide=True,
    )
    if summary.objects_deferred:
        console.print(f"{summary.objects_deferred} objects changed while they were read.")
    if not days:
        console.print("No day's total would change.")
        return
    columns = ["day", "now", "then", "difference", "because of"]
    print_table("Totals that would change (BRL)", columns, days, wide=True)
