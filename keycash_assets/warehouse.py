"""The warehouse: a DuckDB file that one process writes, or a MotherDuck database.

Readers never open the file that is written. They open the published snapshot, which is complete
and checked (``publishing.py``).
"""

import logging
import os
import re
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from keycash_assets import sql
from keycash_assets.core.temporary_files import FULL_DISK
from keycash_assets.errors import WarehouseError, WarehouseLockedError
from keycash_assets.settings import MOTHERDUCK_SCHEME, Settings
from keycash_assets.sql.columns import columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

LOCK_WAIT_SECONDS = 120.0
"""How long a writer waits for another one. A run holds the warehouse from its load to its end."""

MEMORY_LIMIT = "1GB"
"""What DuckDB may hold in memory; beyond it, it uses a temporary folder beside the file."""

MOTHERDUCK_HOST = "api.motherduck.com"
MOTHERDUCK_PORT = 80
MOTHERDUCK_TLS_PORT = 443
MOTHERDUCK_WAIT_SECONDS = 5.0
"""How long MotherDuck's answer is waited for, before it counts as out of reach."""

MOTHERDUCK_NEWEST_CLIENT = (1, 5, 6)
"""Newest DuckDB client that MotherDuck accepts (its documentation on supported versions)."""

_TABLES_IN_ORDER = (
    "landing_table",
    "object_ledger",
    "quarantine",
    "latest_requests",
    "removed_requests",
    "credit_requests",
    "credit_per_day",
    "credit_per_day_changes",
    "load_history",
    "publications",
)

_logger = logging.getLogger(__name__)


def connect_to_write(
    database: str,
    wait_seconds: float = LOCK_WAIT_SECONDS,
    log: Callable[[str], None] = _logger.info,
) -> "Connection":
    """Open the warehouse to write, waiting while another process holds it.

    Args:
        database: ``Settings.warehouse``.
        wait_seconds: How long to wait for another writer.
        log: Told, with each attempt, who holds the warehouse.

    Raises:
        WarehouseLockedError: It was held for longer than that.
        WarehouseError: It cannot be opened at all.
    """
    if database.startswith(MOTHERDUCK_SCHEME):
        return _connect_to_motherduck(database)
    path = Path(database)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    import duckdb  # noqa: PLC0415  shortens start-up

    deadline = time.monotonic() + wait_seconds
    pause = 0.05
    while True:
        try:
            connection = duckdb.connect(database)
        except duckdb.IOException as error:  # noqa: PERF203  each attempt fails by itself
            if "Could not set lock" not in str(error):
                raise WarehouseError(f"Cannot open the warehouse {database}: {error}") from error
            holder = _holder(str(error))
            if time.monotonic() + pause > deadline:
                raise WarehouseLockedError(
                    f"The warehouse {database} has been held by {holder} for {wait_seconds:.0f} s. "
                    "Wait until it is done, or close it there; to look at the data, open the "
                    "published snapshot instead (`keycash status` says where it is)."
                ) from error
            log(f"Waiting for the warehouse: {holder} holds it")
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
        except duckdb.Error as error:
            raise WarehouseError(f"Cannot open the warehouse {database}: {error}") from error
        else:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET memory_limit = $limit", {"limit": MEMORY_LIMIT})
            # It would write into the output of the command, or of whoever reads that.
            connection.execute("SET enable_progress_bar = false")
            # Rows name their object and position: their order in the table says nothing.
            connection.execute("SET preserve_insertion_order = false")
            return connection


def _holder(message: str) -> str:
    found = re.search(r"held in (.+?) \(PID (\d+)\)", message)
    return f"process {found[2]} ({found[1]})" if found else "another process"


def _connect_to_motherduck(database: str) -> "Connection":
    """Connect to ``md:name`` with the extension that its wheel brings, failing within seconds.

    Raises:
        WarehouseError: Something is not set or not installed, MotherDuck cannot be reached, or it
            refuses.
    """
    import duckdb  # noqa: PLC0415  shortens start-up
    import duckdb_extension_motherduck  # noqa: PLC0415  only needed here

    name = database.removeprefix(MOTHERDUCK_SCHEME)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise WarehouseError(
            f"KEYCASH_WAREHOUSE is {database!r}: name a database by letters, digits and "
            "underscores, as in md:keycash."
        )
    # The extension takes the token from the environment itself: it is never part of a statement.
    if not os.environ.get("MOTHERDUCK_TOKEN"):
        raise WarehouseError(
            f"KEYCASH_WAREHOUSE is {database!r} but MOTHERDUCK_TOKEN is not set: create an access "
            "token in MotherDuck's settings and set it in the environment or in .env."
        )
    folder = Path(duckdb_extension_motherduck.__file__).parent / "extensions"
    extension = folder / f"v{duckdb.__version__}" / "motherduck.duckdb_extension"
    version = tuple(int(part) for part in re.findall(r"\d+", duckdb.__version__)[:3])
    if version > MOTHERDUCK_NEWEST_CLIENT or not extension.is_file():
        newest = ".".join(map(str, MOTHERDUCK_NEWEST_CLIENT))
        raise WarehouseError(
            f"DuckDB {duckdb.__version__} is installed; MotherDuck accepts clients up to {newest} "
            "and needs its extension of the same version. Install the versions of "
            "requirements.txt (`make run` does)."
        )
    with ExitStack() as failing:
        connection = failing.enter_context(closing(duckdb.connect()))
        _load_motherduck_extension(connection, extension)
        try:
            connection.execute(f"ATTACH 'md:{name}'")
            connection.execute(f"USE {name}")
        except duckdb.Error as error:
            raise WarehouseError(f"MotherDuck refused {database!r}: {error}") from error
        connection.execute("SET TimeZone = 'UTC'")
        failing.pop_all()
        return connection


def _load_motherduck_extension(connection: "Connection", extension: Path) -> None:
    """Load the extension, which asks MotherDuck for the newest version of itself.

    Where no answer comes, it repeats that for a minute and a half and lets no other thread of the
    process run. So the same is asked before, with a bound.

    Raises:
        WarehouseError: MotherDuck cannot be reached.
    """
    import duckdb  # noqa: PLC0415  shortens start-up

    seconds = MOTHERDUCK_WAIT_SECONDS
    try:
        with closing(HTTPConnection(MOTHERDUCK_HOST, MOTHERDUCK_PORT, timeout=seconds)) as asked:
            asked.request("GET", "/extension_version")
            asked.getresponse()
        socket.create_connection((MOTHERDUCK_HOST, MOTHERDUCK_TLS_PORT), timeout=seconds).close()
        connection.load_extension(str(extension))
    except (OSError, HTTPException, duckdb.Error) as error:
        raise WarehouseError(
            f"MotherDuck cannot be reached ({MOTHERDUCK_HOST}: {error}). Check the network, or set "
            "KEYCASH_WAREHOUSE to the path of a local file."
        ) from error


@contextmanager
def transaction(connection: "Connection") -> Iterator["Connection"]:
    """All that happens inside is committed at the end, or nothing of it.

    Raises:
        WarehouseError: The warehouse could not be written, as on a full disk.
    """
    import duckdb  # noqa: PLC0415  shortens start-up

    with storage_errors_explained():
        connection.begin()
        try:
            yield connection
        except BaseException:
            with suppress(duckdb.Error):  # what cannot be written cannot be rolled back either
                connection.rollback()
            raise
        connection.commit()


@contextmanager
def storage_errors_explained() -> Iterator[None]:
    """Say what to do when the warehouse cannot be written.

    Raises:
        WarehouseError: It could not, for want of space or memory, or for a fault of the disk.
    """
    import duckdb  # noqa: PLC0415  shortens start-up

    try:
        yield
    except duckdb.Error as error:
        causes = (duckdb.IOException, duckdb.OutOfMemoryException)
        if not isinstance(error, causes) and "Failed to commit" not in str(error):
            raise
        raise _storage_error(error) from error
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise _storage_error(error) from error


def _storage_error(error: Exception) -> WarehouseError:
    return WarehouseError(
        f"The warehouse could not be written: {error}. Nothing of this is kept, and readers still "
        "see what was published last. Make room on the disk, and the next run does it again."
    )


def create_tables(connection: "Connection") -> None:
    """Create the tables and views that are not there yet.

    Raises:
        WarehouseError: Some are there, made by another version of the platform.
    """
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for table, name, data_type in connection.execute(
        sql.statement("reports/columns_of_tables")
    ).fetchall():
        found[table].add((name, data_type))
    for table in _TABLES_IN_ORDER:
        made = {(column.name, _full_type(column.type)) for column in columns(table)}
        if table in found and found[table] != made:
            names = sorted({name for name, _ in found[table] ^ made})
            raise WarehouseError(
                f"The warehouse was made by another version of this platform: {table} has other "
                f"columns ({', '.join(names)}). Move it away (`keycash status` says where it is) "
                "and start again: everything is loaded anew from the bucket. The restatement log "
                "begins anew as well; the old one stays in the file."
            )
        connection.execute(sql.statement(f"tables/{table}"))


def _full_type(sql_type: str) -> str:
    """A type as DuckDB names it."""
    return sql_type.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE").replace(", ", ",")


@contextmanager
def published_connection(settings: Settings) -> "Iterator[Connection]":
    """Open what readers may see; empty tables where nothing has been published yet.

    Raises:
        WarehouseError: There is something, but it cannot be opened, or not be read later on.
    """
    import duckdb  # noqa: PLC0415  shortens start-up

    has_snapshot = not settings.uses_motherduck and settings.published.exists()
    database = settings.warehouse if settings.uses_motherduck else ":memory:"
    try:
        with closing(
            _open_snapshot(settings.published) if has_snapshot else connect_to_write(database)
        ) as connection:
            if not has_snapshot:
                _create_missing_tables(connection)
            yield connection
    except duckdb.Error as error:
        raise _reading_error(settings, error) from error


def _open_snapshot(path: Path) -> "Connection":
    import duckdb  # noqa: PLC0415  shortens start-up

    connection = duckdb.connect(path, read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _create_missing_tables(connection: "Connection") -> None:
    """Creating them replaces the view, which a run may do at the same time: not at every reading.

    The last of them is there if all are.
    """
    import duckdb  # noqa: PLC0415  shortens start-up

    try:
        connection.table(_TABLES_IN_ORDER[-1])
    except duckdb.CatalogException:
        create_tables(connection)


def _reading_error(settings: Settings, error: Exception) -> WarehouseError:
    if settings.uses_motherduck:
        return WarehouseError(
            f"{settings.warehouse} cannot be read: {error}. Check the network and, in MotherDuck, "
            "the database and what the token may do there."
        )
    return WarehouseError(
        f"The published snapshot {settings.published} cannot be read: {error}. Materialize "
        "`published_snapshot` in Dagster to write it anew."
    )
