"""Dagster's side of each external thing: configured here, handed on as a plain object."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from keycash_assets.bucket import Bucket, bucket_of
from keycash_assets.event_queue import EventQueue
from keycash_assets.publishing import publish
from keycash_assets.settings import Settings
from keycash_assets.sources import SourceFiles, fetch_source_files, without_secrets
from keycash_assets.warehouse import (
    LOCK_WAIT_SECONDS,
    connect_to_write,
    published_connection,
    storage_errors_explained,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


class SourceFolder(dg.ConfigurableResource):  # type: ignore[type-arg]  # has no value of its own
    """The files that are to be put into the bucket.

    Attributes:
        source: ``KEYCASH_SOURCE``, without what is secret in it: Dagster shows it, and keeps it.
        destination: Folder that a zip, a download or the sample is unpacked to.
    """

    source: str
    destination: str

    def fetch(self) -> SourceFiles:
        """Have the files at hand.

        Raises:
            SourceError: They cannot be had, or are not safe to unpack.
        """
        complete = os.environ.get("KEYCASH_SOURCE", "")
        is_it = without_secrets(complete) == self.source
        return fetch_source_files(complete if is_it else self.source, Path(self.destination))

    def files(self) -> SourceFiles:
        """The files that the last ``fetch`` had at hand.

        Raises:
            SourceError: There are none.
        """
        folder = self.source if Path(self.source).is_dir() else self.destination
        return fetch_source_files(folder, Path(self.destination))


class ObjectStore(dg.ConfigurableResource):  # type: ignore[type-arg]  # has no value of its own
    """The bucket.

    Attributes:
        home: ``KEYCASH_HOME``, where the local object store leaves its address and keys.
        objects_url: ``KEYCASH_OBJECTS_URL``; None for the local object store.
    """

    home: str
    objects_url: str | None

    def bucket(self) -> Bucket:
        """Connect to the bucket.

        Raises:
            SettingsError: The local object store was never started.
        """
        settings = Settings.from_environment(
            {"KEYCASH_HOME": self.home, "KEYCASH_OBJECTS_URL": self.objects_url or ""}
        )
        return bucket_of(settings, os.environ)


class BucketEvents(dg.ConfigurableResource):  # type: ignore[type-arg]  # has no value of its own
    """What tells the sensor of new objects between two listings.

    Attributes:
        queue_url: ``KEYCASH_EVENTS_QUEUE_URL``; None where only listings tell.
        reconcile_seconds: ``KEYCASH_RECONCILE_SECONDS``.
    """

    queue_url: str | None
    reconcile_seconds: int

    def queue(self) -> EventQueue | None:
        """The queue of the bucket's event notifications, if there is one."""
        return None if self.queue_url is None else EventQueue(self.queue_url, os.environ)


class Warehouse(DuckDBResource):
    """The warehouse, held by one run at a time from its first use to its end.

    Attributes:
        database: ``KEYCASH_WAREHOUSE``: path of a DuckDB file, or ``md:database``.
        published: ``KEYCASH_PUBLISHED``: the snapshot that readers open.
        retract_deleted: Whether the rows of objects that are deleted from the bucket leave.
        wait_seconds: How long to wait for another writer.
    """

    published: str
    retract_deleted: bool = False
    wait_seconds: float = LOCK_WAIT_SECONDS

    _run: ExitStack | None = PrivateAttr(default=None)
    _connection: "Connection | None" = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Warehouse"]:
        """Hold the connection over the steps of a run, so that no other run comes in between."""
        with ExitStack() as self._run:
            try:
                yield self
            finally:
                self._close()
        self._run = None

    @contextmanager
    def get_connection(self) -> Iterator["Connection"]:
        """Open the warehouse to write; inside a run, its one connection.

        Raises:
            WarehouseLockedError: Another process held it for longer than we wait.
            WarehouseError: It cannot be opened.
        """
        if self._connection is None:
            log = dg.get_dagster_logger().info
            self._connection = connect_to_write(self.database, self.wait_seconds, log)
        try:
            yield self._connection
        finally:
            if self._run is None:
                self._close()

    def publish(self, run_id: str, *, anew: bool = False) -> datetime:
        """Make what the warehouse holds now what readers see, and say as of when it is.

        Args:
            run_id: Dagster run.
            anew: Whether to copy all of it, and not only what has changed.

        Raises:
            WarehouseError: The metric does not hold all that was loaded, or the copy failed.
        """
        with storage_errors_explained(), ExitStack() as lease, self.get_connection() as connection:
            return publish(
                connection,
                self.database,
                Path(self.published),
                run_id,
                self._run or lease,
                anew=anew,
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Published(dg.ConfigurableResource):  # type: ignore[type-arg]  # has no value of its own
    """What readers see, for the sensor, which never opens the warehouse that runs write.

    Attributes:
        warehouse: ``KEYCASH_WAREHOUSE``.
        published: ``KEYCASH_PUBLISHED``.
    """

    warehouse: str
    published: str

    @contextmanager
    def get_connection(self) -> "Iterator[Connection]":
        """Open what was published last, read-only; empty tables before the first publication.

        Raises:
            WarehouseError: There is a snapshot, but it cannot be read.
        """
        settings = Settings.from_environment(
            {"KEYCASH_WAREHOUSE": self.warehouse, "KEYCASH_PUBLISHED": self.published}
        )
        with published_connection(settings) as connection:
            yield connection
