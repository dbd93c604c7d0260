"""Publishing: the snapshot that readers open is swapped in whole, after a complete, checked run."""

import os
import shutil
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from keycash_assets import sql
from keycash_assets.errors import WarehouseError
from keycash_assets.settings import MOTHERDUCK_SCHEME, Settings
from keycash_assets.warehouse import connect_to_write, create_tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_COPY_BYTES = 8 * 1024**2


def publish(
    connection: "Connection", database: str, published: Path, run_id: str, lease: ExitStack
) -> datetime:
    """Make what the warehouse holds now what readers see.

    A local file is copied beside the published one and renamed over it: a reader sees the old
    snapshot or the new one, never a part. In MotherDuck readers see each committed transaction, so
    only the publication is recorded.

    Args:
        connection: The warehouse, held by this process until ``lease`` ends.
        database: ``Settings.warehouse``.
        published: ``Settings.published``.
        run_id: Dagster run.
        lease: Takes the file handle, which must not be closed before the connection is.

    Returns:
        The moment as of which the published data are.

    Raises:
        WarehouseError: ``credit_per_day`` does not hold what was loaded, or the copy failed.
    """
    pending = connection.execute(sql.statement("reports/loads_without_metric")).fetchall()
    if pending:
        raise WarehouseError(
            f"Not published: credit_per_day has not taken in the load of run {pending[0][0]}. "
            "Materialize credit_per_day first."
        )
    published_at = datetime.now(timezone.utc)
    connection.execute(
        sql.statement("load/publications"), {"published_at": published_at, "run_id": run_id}
    )
    if database.startswith(MOTHERDUCK_SCHEME):
        return published_at
    connection.execute("CHECKPOINT")
    beside = published.with_name(f".{published.name}.{os.getpid()}")
    # Closing any handle of a file gives up the process's lock on it: keep it until the lease ends.
    source = lease.enter_context(Path(database).open("rb"))  # noqa: SIM115  so
    try:
        published.parent.mkdir(parents=True, exist_ok=True)
        # What a killed run left: nobody else publishes while we hold the warehouse.
        for left_over in published.parent.glob(f".{published.name}.*"):
            left_over.unlink()
        with beside.open("wb") as target:
            shutil.copyfileobj(source, target, _COPY_BYTES)
            target.flush()
            os.fsync(target.fileno())
        beside.replace(published)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise WarehouseError(
            f"The snapshot could not be written to {published}: {error}. Readers still see the "
            "one before; make room or mend the folder, and the next run publishes."
        ) from error
    return published_at


def publish_empty_snapshot(settings: Settings) -> None:
    """Give readers empty tables until something is published, so that a chart shows no error."""
    if settings.uses_motherduck or settings.published.exists():
        return
    beside = settings.published.with_name(f".{settings.published.name}.empty")
    beside.unlink(missing_ok=True)
    connection = connect_to_write(str(beside))
    create_tables(connection)
    connection.close()
    beside.replace(settings.published)
