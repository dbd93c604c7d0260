"""The backlog: what the bucket holds and the ledger has not taken in, and what it no longer holds.

Sensor, runs and commands all compare by the same statements. The sensor compares with the published
ledger; the run repeats it under the writer's lock, so that a repeated request is harmless.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from keycash_assets import sql
from keycash_assets.bucket import Bucket
from keycash_assets.core.objects import ObjectVersion

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection as Connection

UNREADABLE_AGAIN_AFTER = timedelta(minutes=10)
"""A version that could not be read is new again after so long: nobody will put it again."""

_NEVER = datetime(1, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Backlog:
    """What waits to be taken in.

    Attributes:
        new: Versions that the ledger has not seen, oldest first.
        vanished: Keys that are no longer in the bucket; only known once the listing is whole.
        listed: How many objects were listed.
        resume_after: Key after which an unfinished listing goes on; None if it is through.
    """

    new: list[ObjectVersion]
    vanished: list[str]
    listed: int
    resume_after: str | None = None


def find_backlog(
    connection: "Connection",
    bucket: Bucket,
    *,
    after: str | None = None,
    seconds: float = float("inf"),
    again: bool = False,
    unreadable: bool = True,
) -> Backlog:
    """List the bucket and compare it with the ledger.

    Args:
        connection: The warehouse, or the published snapshot.
        bucket: The bucket.
        after: Where an earlier listing stopped.
        seconds: How long to list before the rest is left to a later call.
        again: Whether to take every version for new.
        unreadable: Whether to take for new, after a while, what could not be read.

    Raises:
        ObjectStoreError: The bucket could not be listed.
    """
    deadline = time.monotonic() + seconds
    connection.execute(sql.statement("backlog/listed_objects"))
    listed = 0
    resume_after = None
    for page in bucket.pages(after):
        _add(connection, page)
        listed += len(page)
        if len(page) and time.monotonic() > deadline:
            resume_after = str(page["object_key"][-1])
            break
    is_whole = after is None and resume_after is None
    vanished = (
        connection.execute(
            sql.statement("backlog/vanished_objects"), {"prefix": bucket.key_of("")}
        ).fetchall()
        if is_whole
        else []
    )
    return Backlog(
        _new(connection, again, unreadable), [key for (key,) in vanished], listed, resume_after
    )


def find_new(
    connection: "Connection",
    bucket: Bucket,
    keys: Sequence[str],
    *,
    again: bool = False,
) -> list[ObjectVersion]:
    """The versions of these keys that the ledger has not seen, oldest first.

    Args:
        connection: The warehouse.
        bucket: The bucket.
        keys: Object keys.
        again: Whether to take every version for new.

    Raises:
        ObjectStoreError: The bucket could not be asked.
    """
    connection.execute(sql.statement("backlog/listed_objects"))
    _add(connection, bucket.current_versions(keys))
    return _new(connection, again, unreadable=True)


def find_unaccounted(connection: "Connection", bucket: Bucket) -> list[ObjectVersion]:
    """The versions that the last listing of this connection found, and that the ledger lacks still.

    Asked after a load: what it saw and did not account for is lost. What arrived or changed after
    its listing is not, as the next one finds it; no clock has to tell which is which. A connection
    that has listed nothing lists the bucket first.

    Args:
        connection: The warehouse.
        bucket: The bucket.

    Raises:
        ObjectStoreError: The bucket could not be asked.
    """
    ((is_listed,),) = connection.execute(sql.statement("backlog/is_listed")).fetchall()
    if not is_listed:
        return find_backlog(connection, bucket, unreadable=False).new
    missing = _new(connection, again=False, unreadable=False)
    if not missing:
        return []
    still_there = find_new(connection, bucket, [version.key for version in missing], again=True)
    return [version for version in missing if version in still_there]


def _add(connection: "Connection", page: "pa.Table") -> None:
    connection.register("listed_page", page)
    connection.execute(sql.statement("backlog/listed_page"))
    connection.unregister("listed_page")


def _new(connection: "Connection", again: bool, unreadable: bool) -> list[ObjectVersion]:
    before = datetime.now(timezone.utc) - UNREADABLE_AGAIN_AFTER if unreadable else _NEVER
    parameters = {"again": again, "unreadable_before": before}
    rows = connection.execute(sql.statement("backlog/new_objects"), parameters).fetchall()
    return [ObjectVersion(*row) for row in rows]
