"""Loading objects into ``landing_table``: fetched, read, typed and entered in one transaction.

There is one way in. A per-file load, a bulk load, a full load and a replay differ only in which
versions they choose; rows, quarantine and ledger of all of them commit together or not at all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from keycash_assets import metric, sql
from keycash_assets.backlog import find_backlog, find_new
from keycash_assets.bucket import Bucket, batches
from keycash_assets.core.documents import MAX_MEMORY_BYTES, NotJson, Part, read_parts
from keycash_assets.core.objects import ObjectVersion
from keycash_assets.core.records import MEMBER_OF_AN_OBJECT
from keycash_assets.progress import one_ahead, progress_bar
from keycash_assets.reading import FetchedObject
from keycash_assets.warehouse import create_tables, transaction

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection as Connection

BATCH_OBJECTS = 5_000
"""Objects fetched at once; their bytes are at most ``MAX_MEMORY_BYTES``, or one larger object."""

INSERT_BYTES = 64 * 1024**2
"""Text inserted at once, about. With the batch it bounds the memory that a load takes."""

INSERT_ROWS = 1_000_000
"""Rows inserted at once, about: small ones take more memory than their text."""

BATCH_ROWS = 65_536
"""Records that one of DuckDB's threads takes at a time, at the most."""

BATCH_BYTES = 1024**2
"""Text of them, where records are large: typing takes a multiple of it, in each thread."""

# Records that DuckDB types at once: of small ones they are no matter, and each batch costs time.
_VECTOR_ROWS = 2_048


@dataclass(frozen=True)
class LoadSummary:
    """What a load did; the columns of ``load_history``.

    Attributes:
        kind: ``per file``, ``bulk``, ``full`` or ``replay``.
        objects_deferred: Objects that changed or vanished while they were read, or that were read
            before and could not be this time: what is known of them stays.
        objects_deleted: Objects found to be no longer in the bucket, or of which that was known and
            whose rows leave only now, as the policy has changed.
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
    objects_deleted: int = 0
    records: int = 0
    size_bytes: int = 0
    differing_objects: tuple[str, ...] | None = None
    differing_days: tuple[str, ...] | None = None

    @property
    def objects_seen(self) -> int:
        """How many objects the load had to do with."""
        return (
            self.objects_loaded
            + self.objects_unchanged
            + self.objects_quarantined
            + self.objects_deferred
            + self.objects_deleted
        )

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
    summary = _begin(connection, run_id, "per file")
    with transaction(connection):
        versions = find_new(connection, bucket, keys)
        return _record(connection, _load(connection, bucket, versions, summary))


def load_again(
    connection: "Connection", bucket: Bucket, keys: Sequence[str], run_id: str
) -> LoadSummary:
    """Open these objects again, loaded or not: what ``keycash replay`` does.

    Raises:
        ObjectStoreError: The bucket could not be read; nothing was loaded.
    """
    summary = _begin(connection, run_id, "replay")
    with transaction(connection):
        versions = find_new(connection, bucket, keys, again=True)
        return _record(connection, _load(connection, bucket, versions, summary, again=True))


def quarantined_keys(connection: "Connection") -> list[str]:
    """The objects of which something, or all, stands in quarantine."""
    return [key for (key,) in connection.execute(sql.statement("load/quarantined_keys")).fetchall()]


def load_everything_new(
    connection: "Connection", bucket: Bucket, run_id: str, *, retract: bool = False
) -> LoadSummary:
    """Load every version in the bucket that the ledger has not seen, and note what has vanished.

    Args:
        connection: The warehouse.
        bucket: The bucket.
        run_id: Dagster run.
        retract: Whether the rows of objects that are no longer in the bucket leave.

    Raises:
        ObjectStoreError: The bucket could not be listed or read; nothing was loaded.
    """
    summary = _begin(connection, run_id, "bulk")
    with transaction(connection):
        backlog = find_backlog(connection, bucket)
        summary = _load(
            connection, bucket, backlog.new, summary, vanished=backlog.vanished, retract=retract
        )
        return _record(connection, summary)


def load_everything_again(
    connection: "Connection", bucket: Bucket, run_id: str, *, retract: bool = False
) -> LoadSummary:
    """Build ``landing_table`` and ``credit_per_day`` from every object, in one transaction.

    What the loads before it had built is compared with what it builds: the rows of each object
    whose version is the same, and the total of each day.

    Args:
        connection: The warehouse.
        bucket: The bucket.
        run_id: Dagster run.
        retract: Whether the rows of objects that are no longer in the bucket leave.

    Raises:
        ObjectStoreError: The bucket could not be listed or read; nothing was changed.
    """
    summary = _begin(connection, run_id, "full")
    with transaction(connection):
        connection.execute(sql.statement("load/object_digests"))
        # What a run that ended between its load and its metric has left to the next one.
        metric.update_credit_per_day(connection, run_id, summary.started_at)
        days = connection.execute(
            sql.statement("checks/credit_per_day_is_exact"), {"everything": True}
        ).fetchall()
        backlog = find_backlog(connection, bucket, again=True)
        summary = _load(
            connection,
            bucket,
            backlog.new,
            summary,
            again=True,
            vanished=backlog.vanished,
            retract=retract,
        )
        objects = connection.execute(sql.statement("load/differing_objects")).fetchall()
        summary = replace(
            summary,
            differing_objects=tuple(key for (key,) in objects),
            differing_days=tuple(str(day) for day, *_ in days),
        )
        _record(connection, summary)
        metric.update_credit_per_day(connection, run_id, summary.finished_at, everything=True)
    return summary


def _begin(connection: "Connection", run_id: str, kind: str) -> LoadSummary:
    """A summary whose ``started_at`` names the load: no load before it had the same or a later."""
    create_tables(connection)
    ((last,),) = connection.execute(sql.statement("load/last_load")).fetchall()
    now = datetime.now(timezone.utc)
    started_at = now if last is None else max(now, last + timedelta(microseconds=1))
    return LoadSummary(run_id, kind, started_at, started_at)


@dataclass(frozen=True)
class _Entry:
    """The current version of an object as the ledger has it."""

    object_key: str
    object_etag: str
    last_modified: datetime
    sha256: str | None
    status: str
    envelope: str | None
    records: int
    problem_records: int
    error: str | None
    discovered_at: datetime

    @property
    def has_rows(self) -> bool:
        """Whether the object's records stand in ``landing_table``."""
        return self.status in {"loaded", "unchanged"}

    def was_read(self, version: ObjectVersion) -> bool:
        """Whether it is of this very version, and says what its bytes are."""
        is_of_version = (self.object_etag, self.last_modified) == (
            version.etag,
            version.last_modified,
        )
        return is_of_version and self.sha256 is not None


@dataclass
class _Outcome:
    """What becomes of an object version: what ``object_ledger`` will say of it."""

    version: ObjectVersion
    sha256: str | None
    status: str
    discovered_at: datetime
    envelope: str | None = None
    records: int = 0
    problem_records: int | None = None
    error: str | None = None

    def count(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Hand on the parts of the object, and count what they hold."""
        envelopes: list[str] = []
        unreadable: list[NotJson] = []
        unreadable_lines = 0
        is_of_lines = False
        for part in parts:
            self.records += len(part.elements)
            envelopes += part.envelopes
            unreadable += part.not_json[: 1 - len(unreadable)]
            unreadable_lines += len(part.not_json)
            is_of_lines = part.is_of_lines
            yield part
        if envelopes:
            self.envelope = f"[{', '.join(envelopes)}]" if is_of_lines else envelopes[0]
        for first in unreadable:
            self.error = first.reason
            if first.line is None:
                self.status = "quarantined"
            else:
                self.error = (
                    f"{unreadable_lines} unreadable lines, the first is line {first.line}: "
                    f"{first.reason}"
                )


@dataclass
class _Arrival:
    """What is inserted at once: elements and unreadable bytes of objects, in their order.

    Attributes:
        stretches: Of which version each stretch of elements is, its length, and the position of
            its first element in the object.
        finished: How many objects end in it.
    """

    stretches: list[tuple[ObjectVersion, int, int]] = field(default_factory=list)
    elements: list[msgspec.Raw] = field(default_factory=list)
    not_json: list[tuple[ObjectVersion, NotJson]] = field(default_factory=list)
    size_bytes: int = 0
    finished: int = 0

    def add(self, version: ObjectVersion, part: Part, first_index: int) -> None:
        """Take in a part of an object."""
        self.stretches.append((version, len(part.elements), first_index))
        self.elements += part.elements
        self.not_json += [(version, entry) for entry in part.not_json]
        self.size_bytes += sum(map(len, part.elements))
        self.size_bytes += sum(len(entry.raw) + len(entry.reason) for entry in part.not_json)

    @property
    def is_full(self) -> bool:
        """Whether it is to be inserted before more is added."""
        rows = len(self.elements) + len(self.not_json)
        return self.size_bytes >= INSERT_BYTES or rows >= INSERT_ROWS


def _load(
    connection: "Connection",
    bucket: Bucket,
    versions: Sequence[ObjectVersion],
    summary: LoadSummary,
    *,
    again: bool = False,
    vanished: Sequence[str] = (),
    retract: bool = False,
) -> LoadSummary:
    """Take in these versions, inside the caller's transaction."""
    entries = _ledger_entries(connection, versions)
    outcomes: list[_Outcome] = []
    arrivals = _arrivals(bucket, versions, entries, summary, outcomes, again=again)
    with progress_bar("Loading", len(versions)) as advance:
        for tables, finished in one_ahead(arrivals):
            _insert(connection, tables, summary)
            advance(finished)
    replaces = retract or any(outcome.version.key in entries for outcome in outcomes)
    retracted = _settle(connection, outcomes, vanished, summary, replaces=replaces, retract=retract)
    statuses = [outcome.status for outcome in outcomes]
    return replace(
        summary,
        objects_loaded=statuses.count("loaded"),
        objects_unchanged=statuses.count("unchanged"),
        objects_quarantined=statuses.count("quarantined"),
        objects_deferred=len(versions) - len(outcomes),
        objects_deleted=len(vanished) + retracted,
        records=sum(outcome.records for outcome in outcomes if outcome.status != "unchanged"),
        size_bytes=sum(o.version.size_bytes for o in outcomes if o.sha256 is not None),
        finished_at=datetime.now(timezone.utc),
    )


def _arrivals(
    bucket: Bucket,
    versions: Sequence[ObjectVersion],
    entries: Mapping[str, _Entry],
    summary: LoadSummary,
    outcomes: list[_Outcome],
    *,
    again: bool,
) -> "Iterator[tuple[Mapping[str, pa.Table], int]]":
    """Fetch and read the versions; tables to insert, with the number of objects that end in them.

    What becomes of each object is appended to ``outcomes`` when it is read. Of one key a load takes
    in one version, whatever was listed or asked for: another one is left to the next load.
    """
    arrival = _Arrival()
    taken_in: set[str] = set()
    fetched_batches = map(bucket.fetch, batches(versions, MAX_MEMORY_BYTES, BATCH_OBJECTS))
    for batch in one_ahead(fetched_batches):
        for fetched in batch:
            arrival.finished += 1
            key = fetched.version.key
            entry = entries.get(key)
            # Content under both y and y/ is listed as two versions of y.
            if key in taken_in or _is_deferred(fetched, entry):
                continue
            taken_in.add(key)
            outcome, parts = _opened(fetched, entry, summary, again=again)
            outcomes.append(outcome)
            for part in outcome.count(parts):
                arrival.add(fetched.version, part, outcome.records - len(part.elements))
                if arrival.is_full:
                    yield _tables(arrival), arrival.finished - 1
                    arrival = _Arrival(finished=1)
        if len(arrival.stretches) >= BATCH_OBJECTS:
            yield _tables(arrival), arrival.finished
            arrival = _Arrival()
    if arrival.finished:
        yield _tables(arrival), arrival.finished


def _is_deferred(fetched: FetchedObject, entry: _Entry | None) -> bool:
    """Whether the object is gone, or what is known of it stays because it cannot be read again."""
    if fetched.unreadable:
        return entry is not None and entry.was_read(fetched.version)
    return fetched.data is None


def _opened(
    fetched: FetchedObject, entry: _Entry | None, summary: LoadSummary, *, again: bool
) -> tuple[_Outcome, Iterable[Part]]:
    """What becomes of an object, and the parts of it that are to be inserted."""
    version = fetched.version
    is_same_version = entry is not None and entry.object_etag == version.etag
    discovered_at = entry.discovered_at if entry and is_same_version else summary.started_at
    outcome = _Outcome(version, fetched.sha256, "loaded", discovered_at)
    if fetched.data is None:
        return outcome, [Part(not_json=[NotJson(None, b"", fetched.unreadable)])]
    if entry is None or again or not entry.has_rows or entry.sha256 != fetched.sha256:
        return outcome, read_parts(fetched.data)
    return (
        replace(
            outcome,
            status="unchanged",
            envelope=entry.envelope,
            records=entry.records,
            problem_records=entry.problem_records,
            error=entry.error,
        ),
        (),
    )


def _ledger_entries(
    connection: "Connection", versions: Sequence[ObjectVersion]
) -> dict[str, _Entry]:
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    keys = pa.array([version.key for version in versions], pa.string())
    with _registered(connection, {"arriving_keys": pa.table({"object_key": keys})}):
        rows = connection.execute(sql.statement("load/ledger_entries")).fetchall()
    return {row[0]: _Entry(*row) for row in rows}


def _insert(
    connection: "Connection", tables: "Mapping[str, pa.Table]", summary: LoadSummary
) -> None:
    """Add records and quarantine; what they replace leaves when all of them are there."""
    stamp = {"loaded_at": summary.started_at, "run_id": summary.run_id}
    with _registered(connection, {name: _once(table) for name, table in tables.items()}):
        connection.execute(
            sql.statement("load/landing_table"), {**stamp, "member": MEMBER_OF_AN_OBJECT}
        )
        connection.execute(sql.statement("load/quarantine"), stamp)


def _settle(
    connection: "Connection",
    outcomes: Sequence[_Outcome],
    vanished: Sequence[str],
    summary: LoadSummary,
    *,
    replaces: bool,
    retract: bool,
) -> int:
    """Take out what was replaced or retracted, and write the ledger.

    Returns:
        How many objects were known to be deleted, and have their rows taken out only now.
    """
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    loaded_at = {"loaded_at": summary.started_at}
    stamp = {**loaded_at, "run_id": summary.run_id}
    tables = {
        "arriving_objects": _objects_table(outcomes),
        "vanished_objects": pa.table({"object_key": pa.array(vanished, pa.string())}),
    }
    retracted = 0
    with _registered(connection, tables):
        connection.execute(sql.statement("load/object_ledger_deleted"), stamp)
        if replaces:
            connection.execute(sql.statement("load/leaving_objects"), {"retract": retract})
            ((retracted,),) = connection.execute(sql.statement("load/retracted_objects")).fetchall()
            connection.execute(sql.statement("load/removed_requests"), loaded_at)
            connection.execute(sql.statement("load/landing_table_removal"), loaded_at)
            connection.execute(sql.statement("load/quarantine_removal"), loaded_at)
            connection.execute(sql.statement("load/landing_table_version"))
            connection.execute(sql.statement("load/quarantine_version"))
            connection.execute(sql.statement("load/object_ledger_replaced"))
            connection.execute(sql.statement("load/object_ledger_removal"))
        connection.execute(sql.statement("load/object_ledger"), stamp)
    return int(retracted)


def _once(table: "pa.Table") -> "pa.RecordBatchReader":
    """A table of records or quarantine that can be read once, and is let go then.

    DuckDB keeps what is registered until the transaction ends: all records of a load, otherwise.
    """
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    return pa.RecordBatchReader.from_batches(table.schema, _batches(table))


def _batches(table: "pa.Table") -> "Iterator[pa.RecordBatch]":
    import pyarrow.compute as pc  # noqa: PLC0415  shortens start-up

    text = "record" if "record" in table.column_names else "raw"
    sizes = pc.binary_length(table[text]).to_numpy()
    if sizes.max(initial=0) * _VECTOR_ROWS <= 4 * BATCH_BYTES:
        yield from table.to_batches(max_chunksize=BATCH_ROWS)
        return
    ends = np.cumsum(sizes, dtype=np.int64)
    start = 0
    while start < len(ends):
        limit = BATCH_BYTES + (ends[start - 1] if start else 0)
        end = max(start + 1, int(np.searchsorted(ends, limit, "right")))
        batch = table.slice(start, min(end - start, BATCH_ROWS))
        yield from batch.to_batches()
        start += len(batch)


@contextmanager
def _registered(
    connection: "Connection", tables: "Mapping[str, pa.Table | pa.RecordBatchReader]"
) -> Iterator[None]:
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)


def _record(connection: "Connection", summary: LoadSummary) -> LoadSummary:
    """Enter a load into ``load_history``; one that found nothing to do is not worth a row."""
    if summary.kind != "full" and not summary.objects_seen:
        return summary
    values = {field.name: getattr(summary, field.name) for field in fields(summary)}
    for name in ("differing_objects", "differing_days"):
        if values[name] is not None:
            values[name] = list(values[name])
    connection.execute(sql.statement("load/load_history"), values)
    return summary


def _tables(arrival: _Arrival) -> "Mapping[str, pa.Table]":
    return {
        "arriving_records": _records_table(arrival),
        "arriving_quarantine": _quarantine_table(arrival),
    }


def _objects_table(outcomes: Sequence[_Outcome]) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    moment = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "object_key": pa.array([o.version.key for o in outcomes], pa.string()),
            "object_etag": pa.array([o.version.etag for o in outcomes], pa.string()),
            "size_bytes": pa.array([o.version.size_bytes for o in outcomes], pa.int64()),
            "last_modified": pa.array([o.version.last_modified for o in outcomes], moment),
            "sha256": pa.array([o.sha256 for o in outcomes], pa.string()),
            "envelope": pa.array([o.envelope for o in outcomes], pa.string()),
            "status": pa.array([o.status for o in outcomes], pa.string()),
            "records": pa.array([o.records for o in outcomes], pa.int64()),
            "problem_records": pa.array([o.problem_records for o in outcomes], pa.int64()),
            "error": pa.array([o.error for o in outcomes], pa.string()),
            "discovered_at": pa.array([o.discovered_at for o in outcomes], moment),
        }
    )


def _records_table(arrival: _Arrival) -> "pa.Table":
    """All elements as one Arrow column over one buffer: nothing is copied element by element."""
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    elements = arrival.elements
    counts = np.array([count for _, count, _ in arrival.stretches], np.int64)
    first_indexes = np.array([first for _, _, first in arrival.stretches], np.int64)
    offsets = np.zeros(len(elements) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, elements), np.int64, len(elements)), out=offsets[1:])
    text = pa.py_buffer(b"".join(elements))
    records = pa.LargeStringArray.from_buffers(len(elements), pa.py_buffer(offsets), text)
    starts = np.repeat(np.cumsum(counts) - counts - first_indexes, counts)
    stretches = pa.array(np.repeat(np.arange(len(counts), dtype=np.int32), counts))

    def of_version(values: list[str]) -> "pa.Array":
        return pa.DictionaryArray.from_arrays(stretches, pa.array(values, pa.string()))

    return pa.table(
        {
            "object_key": of_version([version.key for version, _, _ in arrival.stretches]),
            "object_etag": of_version([version.etag for version, _, _ in arrival.stretches]),
            "record_index": pa.array(np.arange(len(elements), dtype=np.int64) - starts),
            "record": records,
        }
    )


def _quarantine_table(arrival: _Arrival) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    return pa.table(
        {
            "object_key": pa.array([v.key for v, _ in arrival.not_json], pa.string()),
            "object_etag": pa.array([v.etag for v, _ in arrival.not_json], pa.string()),
            "line": pa.array([entry.line for _, entry in arrival.not_json], pa.int64()),
            "raw": pa.array([entry.raw for _, entry in arrival.not_json], pa.binary()),
            "reason": pa.array([entry.reason for _, entry in arrival.not_json], pa.string()),
        }
    )
