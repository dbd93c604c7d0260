"""Publishing: the snapshot that readers open is swapped in whole, after a complete, checked run."""

import fcntl
import os
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from keycash_assets import sql
from keycash_assets.block_copy import copy_blocks
from keycash_assets.errors import WarehouseError
from keycash_assets.settings import MOTHERDUCK_SCHEME, Settings
from keycash_assets.warehouse import connect_to_write, create_tables, transaction

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def publish(
    connection: "Connection",
    database: str,
    published: Path,
    run_id: str,
    lease: ExitStack,
    *,
    anew: bool = False,
) -> datetime:
    """Make what the warehouse holds now what readers see.

    The new snapshot is made beside the published one and renamed over it: a reader sees the old
    snapshot or the new one, never a part. It is made of the snapshot before, which stays as
    ``.NAME.previous``, and of the blocks that have changed since, so that the cost follows what is
    new. In MotherDuck readers see each committed transaction, so only the publication is recorded.

    Args:
        connection: The warehouse, held by this process until ``lease`` ends.
        database: ``Settings.warehouse``.
        published: ``Settings.published``.
        run_id: Dagster run.
        lease: Takes the file handle, which must not be closed before the connection is.
        anew: Whether to copy all of it, and to leave nothing to go on from: what a damaged disk did
            to an unchanged block ends there.

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
    with transaction(connection):
        stamp = {"published_at": published_at}
        connection.execute(sql.statement("load/publications"), {**stamp, "run_id": run_id})
        connection.execute(sql.statement("load/load_history_published"), stamp)
        connection.execute(sql.statement("load/removed_requests_removal"))
    if database.startswith(MOTHERDUCK_SCHEME):
        return published_at
    connection.execute("CHECKPOINT")
    block_bytes = _block_bytes(connection)
    previous = published.with_name(f".{published.name}.previous")
    beside = published.with_name(f".{published.name}.{os.getpid()}")
    # Closing any handle of a file gives up the process's lock on it: keep it until the lease ends.
    source = lease.enter_context(Path(database).open("rb"))  # noqa: SIM115  so
    try:
        published.parent.mkdir(parents=True, exist_ok=True)
        # What a killed run left: nobody else publishes while we hold the warehouse.
        for left_over in published.parent.glob(f".{escape(published.name)}.*"):
            if anew or left_over != previous:
                left_over.unlink()
        with _take(previous, beside) as target:
            copy_blocks(source, target, block_bytes)
            target.flush()
            os.fsync(target.fileno())
        if not anew:
            # Without a second name, which some file systems refuse, the next copy is a whole one.
            with suppress(OSError):
                previous.hardlink_to(published)
        beside.replace(published)
        _flush_names(published.parent)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise WarehouseError(
            f"The snapshot could not be written to {published}: {error}. Readers still see the "
            "one before; make room or mend the folder, and the next run publishes."
        ) from error
    return published_at


def _block_bytes(connection: "Connection") -> int:
    ((block_bytes,),) = connection.execute(
        "SELECT block_size FROM pragma_database_size() WHERE database_name = current_database()"
    ).fetchall()
    return int(block_bytes)


def _take(previous: Path, beside: Path) -> BinaryIO:
    """The file that becomes the new snapshot: the one before the published one, or an empty one.

    It is renamed before it is changed: a copy that is broken off is never taken again. One that a
    reader has open, as DuckDB's lock tells, is left to him; and so is one that is published, which
    is what a kill between its second name and the renaming leaves.
    """
    with suppress(FileNotFoundError):
        previous.replace(beside)
        taken = beside.open("r+b")
        # A file system that knows no locks cannot tell whether there is a reader.
        with suppress(OSError):
            if os.fstat(taken.fileno()).st_nlink == 1:
                fcntl.lockf(taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return taken
        taken.close()
        beside.unlink()
    return beside.open("w+b")


def _flush_names(folder: Path) -> None:
    """Have the renaming on the disk before the file that was published before is written to."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
