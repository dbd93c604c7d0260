"""Loading objects into ``landing_table``: fetched, read, typed and entered in one transaction.

There is one way in. A per-file load, a bulk load, a full load and a replay differ only in which
versions they choose; rows, quarantine and ledger of all of them commit together or not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from keycash_assets import metric, sql
from keycash_assets.bucket import Bucket, FetchedObject, batches
from keycash_assets.core.documents import Document, read_document
from keycash_assets.core.objects import LedgerEntry, ObjectVersion, new_versions
from keycash_assets.core.records import MEMBER_OF_AN_OBJECT
from keycash_assets.progress import progress_bar
from keycash_assets.warehouse import create_tables, transaction

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection as Connection

BATCH_BYTES = 64 * 1024**2
BATCH_OBJECTS = 10_000
"""Objects are fetched, read and inserted in batches of this size: what bounds the memory."""


@dataclass(frozen=True)
class LoadSummary:
    """What a load did; the columns of ``load_history``.

    Attributes:
        kind: ``per file``, ``bulk``, ``full`` or ``replay``.
        objects_deferred: Objects that changed or vanished while they were read.
        size_bytes: Bytes read from the bucket.
        differing_objects: Full load only: objects of unchanged version whose rows were not those
            that it made of them.
        differing_days: Full load only: days whose total was not the one computed from all records.
    """

    run_id: str
    kind: str
    started_at: datetime
    finished_at: datetime
    objects_loaded: int = 0
    objects_unchanged: int = 0
    objects_quarantined: int = 0
    objects_deferred: int = 0
    records: int = 0
    size_bytes: int = 0
    differing_objects: tuple[str, ...] | None = None
    differing_days: tuple[str, ...] | None = None

    @property
    def seconds(self) -> float:
        """How long the load took."""
        return (self.finished_at - self.started_at).total_seconds()


def load_keys(
    connection: "Connection", bucket: Bucket, keys: Sequence[str], run_id: str
) -> LoadSummary:
    """Load the new versions among these keys, whatever was asked for before: repeating is harmless.

    Raises:
        ObjectStoreError: The bucket could not be read; nothing was loaded.
    """
    started_at = _now()
    create_tables(connection)
    ledger = current_ledger(connection)
    versions = new_versions(bucket.current_versions(keys), ledger)
    return _load(
        connection,
        bucket,
        versions,
        ledger,
        LoadSummary(run_id, "per file", started_at, started_at),
    )


def load_everything_new(connection: "Connection", bucket: Bucket, run_id: str) -> LoadSummary:
    """Load every version in the bucket that the ledger has not seen.

    Raises:
        ObjectStoreError: The bucket could not be listed or read; nothing was loaded.
    """
    started_at = _now()
    create_tables(connection)
    ledger = current_ledger(connection)
    versions = new_versions(bucket.all_versions(), ledger)
    summary = LoadSummary(run_id, "bulk", started_at, started_at)
    return _load(connection, bucket, versions, ledger, summary)


def load_again(
    connection: "Connection", bucket: Bucket, keys: Sequence[str], run_id: str
) -> LoadSummary:
    """Open these objects again, loaded or not: what ``keycash replay`` does.

    Raises:
        ObjectStoreError: The bucket could not be read; nothing was loaded.
    """
    started_at = _now()
    create_tables(connection)
    ledger = current_ledger(connection)
    versions = sorted(bucket.current_versions(keys))
    summary = LoadSummary(run_id, "replay", started_at, started_at)
    return _load(connection, bucket, versions, ledger, summary, again=True)


def load_everything_again(connection: "Connection", bucket: Bucket, run_id: str) -> LoadSummary:
    """Build ``landing_table`` and ``credit_per_day`` from every object, in one transaction.

    What the loads before it had built is compared with what it builds: the rows of each object
    whose version is the same, and the total of each day. Rows of objects that are no longer in the
    bucket stay.

    Raises:
        ObjectStoreError: The bucket could not be listed or read; nothing was changed.
    """
    started_at = _now()
    create_tables(connection)
    ledger = current_ledger(connection)
    versions = sorted(bucket.all_versions())
    with transaction(connection):
        connection.execute(sql.statement("load/object_digests"))
        days = connection.execute(sql.statement("checks/credit_per_day_is_exact")).fetchall()
        summary = _load_batches(
            connection,
            bucket,
            versions,
            ledger,
            LoadSummary(run_id, "full", started_at, started_at),
            again=True,
        )
        objects = connection.execute(sql.statement("load/differing_objects")).fetchall()
        summary = replace(
            summary,
            differing_objects=tuple(key for (key,) in objects),
            differing_days=tuple(str(day) for day, *_ in days),
        )
        _record(connection, summary)
        metric.update_credit_per_day(connection, run_id, summary.finished_at)
    return summary


def current_ledger(connection: "Connection") -> dict[str, LedgerEntry]:
    """The ledger's current entries by object key."""
    rows = connection.execute(sql.statement("load/current_ledger")).fetchall()
    return {row[0]: LedgerEntry(*row) for row in rows}


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _load(
    connection: "Connection",
    bucket: Bucket,
    versions: Sequence[ObjectVersion],
    ledger: Mapping[str, LedgerEntry],
    summary: LoadSummary,
    *,
    again: bool = False,
) -> LoadSummary:
    with transaction(connection):
        summary = _load_batches(connection, bucket, versions, ledger, summary, again=again)
        if versions:
            _record(connection, summary)
    return summary


def _load_batches(
    connection: "Connection",
    bucket: Bucket,
    versions: Sequence[ObjectVersion],
    ledger: Mapping[str, LedgerEntry],
    summary: LoadSummary,
    *,
    again: bool,
) -> LoadSummary:
    with progress_bar("Loading", len(versions)) as advance:
        for batch in batches(versions, BATCH_BYTES, BATCH_OBJECTS):
            outcomes = [
                _outcome(fetched, ledger.get(fetched.version.key), summary.started_at, again=again)
                for fetched in bucket.fetch(batch)
            ]
            arrived = [outcome for outcome in outcomes if outcome is not None]
            _insert(connection, arrived, summary)
            statuses = [outcome.status for outcome in arrived]
            summary = replace(
                summary,
                objects_loaded=summary.objects_loaded + statuses.count("loaded"),
                objects_unchanged=summary.objects_unchanged + statuses.count("unchanged"),
                objects_quarantined=summary.objects_quarantined + statuses.count("quarantined"),
                objects_deferred=summary.objects_deferred + len(batch) - len(arrived),
                records=summary.records + sum(len(o.document.elements) for o in arrived),
                size_bytes=summary.size_bytes + sum(o.version.size_bytes for o in arrived),
            )
            advance(len(batch))
    return replace(summary, finished_at=_now())


@dataclass(frozen=True)
class _Outcome:
    """An object version that was read, and what becomes of it."""

    version: ObjectVersion
    sha256: str
    status: str
    document: Document
    envelope: str | None
    records: int
    error: str | None
    discovered_at: datetime


def _outcome(
    fetched: FetchedObject, entry: LedgerEntry | None, now: datetime, *, again: bool
) -> _Outcome | None:
    """Decide what becomes of an object; None where the version asked for is gone."""
    if fetched.data is None:
        return None
    version = fetched.version
    same_version = entry is not None and entry.object_etag == version.etag
    discovered_at = entry.discovered_at if entry is not None and same_version else now
    if entry is not None and entry.has_rows and entry.sha256 == fetched.sha256 and not again:
        return _Outcome(
            version,
            fetched.sha256,
            "unchanged",
            Document(),
            entry.envelope,
            entry.records,
            entry.error,
            discovered_at,
        )
    document = read_document(fetched.data)
    return _Outcome(
        version,
        fetched.sha256,
        "quarantined" if document.is_quarantined else "loaded",
        document,
        document.envelope,
        len(document.elements),
        _error(document),
        discovered_at,
    )


def _error(document: Document) -> str | None:
    if not document.not_json:
        return None
    first = document.not_json[0]
    if first.line is None:
        return first.reason
    return (
        f"{len(document.not_json)} unreadable lines, the first is line {first.line}: {first.reason}"
    )


def _insert(connection: "Connection", arrived: Sequence[_Outcome], summary: LoadSummary) -> None:
    """Replace rows, quarantine and ledger entries of these objects, inside the transaction."""
    if not arrived:
        return
    views = {
        "arriving_objects": _objects_table(arrived),
        "arriving_records": _records_table(arrived),
        "arriving_quarantine": _quarantine_table(arrived),
    }
    stamp = {"loaded_at": summary.started_at, "run_id": summary.run_id}
    for name, table in views.items():
        connection.register(name, table)
    connection.execute(sql.statement("load/landing_table_removal"))
    connection.execute(sql.statement("load/quarantine_removal"))
    connection.execute(sql.statement("load/landing_table_version"))
    connection.execute(sql.statement("load/quarantine_version"))
    connection.execute(
        sql.statement("load/landing_table"), {**stamp, "member": MEMBER_OF_AN_OBJECT}
    )
    connection.execute(sql.statement("load/quarantine"), stamp)
    connection.execute(sql.statement("load/object_ledger_replaced"))
    connection.execute(sql.statement("load/object_ledger_removal"))
    connection.execute(sql.statement("load/object_ledger"), stamp)
    for name in views:
        connection.unregister(name)


def _record(connection: "Connection", summary: LoadSummary) -> None:
    values = {field.name: getattr(summary, field.name) for field in fields(summary)}
    for name in ("differing_objects", "differing_days"):
        if values[name] is not None:
            values[name] = list(values[name])
    connection.execute(sql.statement("load/load_history"), values)


def _objects_table(arrived: Sequence[_Outcome]) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    moment = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "object_key": pa.array([o.version.key for o in arrived], pa.string()),
            "object_etag": pa.array([o.version.etag for o in arrived], pa.string()),
            "size_bytes": pa.array([o.version.size_bytes for o in arrived], pa.int64()),
            "last_modified": pa.array([o.version.last_modified for o in arrived], moment),
            "sha256": pa.array([o.sha256 for o in arrived], pa.string()),
            "envelope": pa.array([o.envelope for o in arrived], pa.string()),
            "status": pa.array([o.status for o in arrived], pa.string()),
            "records": pa.array([o.records for o in arrived], pa.int64()),
            "error": pa.array([o.error for o in arrived], pa.string()),
            "discovered_at": pa.array([o.discovered_at for o in arrived], moment),
        }
    )


def _records_table(arrived: Sequence[_Outcome]) -> "pa.Table":
    """All elements as one Arrow column over one buffer: nothing is copied element by element."""
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    elements: list[msgspec.Raw] = [e for o in arrived for e in o.document.elements]
    counts = np.array([len(o.document.elements) for o in arrived], np.int64)
    offsets = np.zeros(len(elements) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, elements), np.int64, len(elements)), out=offsets[1:])
    text = pa.py_buffer(b"".join(elements))
    records = pa.LargeStringArray.from_buffers(len(elements), pa.py_buffer(offsets), text)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    objects = np.repeat(np.arange(len(arrived), dtype=np.int32), counts)

    def of_object(values: list[str]) -> "pa.Array":
        return pa.DictionaryArray.from_arrays(pa.array(objects), pa.array(values, pa.string()))

    return pa.table(
        {
            "object_key": of_object([o.version.key for o in arrived]),
            "object_etag": of_object([o.version.etag for o in arrived]),
            "record_index": pa.array(np.arange(len(elements), dtype=np.int64) - starts),
            "record": records,
        }
    )


def _quarantine_table(arrived: Sequence[_Outcome]) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    parts = [(o.version, part) for o in arrived for part in o.document.not_json]
    return pa.table(
        {
            "object_key": pa.array([version.key for version, _ in parts], pa.string()),
            "object_etag": pa.array([version.etag for version, _ in parts], pa.string()),
            "line": pa.array([part.line for _, part in parts], pa.int64()),
            "raw": pa.array([part.raw for _, part in parts], pa.binary()),
            "reason": pa.array([part.reason for _, part in parts], pa.string()),
        }
    )
