"""Race 6: a big bucket, in which little is new."""

import hashlib
from pathlib import Path

import pyarrow as pa

from benchmarks.bench import Bench, Contender
from benchmarks.documents import key, seed
from benchmarks.results import Figure, RaceResult, Target
from benchmarks.sql import statement
from keycash_assets import sql
from keycash_assets.warehouse import connect_to_write, create_tables

OBJECTS = 200_000
QUICK_OBJECTS = 5_000
NEW = 10
RECORDS = 5
BUDGET_SECONDS = 30.0
"""A tick may list for 20 s; Dagster ends it after 60."""

MEMORY_BOUND_MIB = 512
STOPPED_AFTER_SECONDS = 0.5
"""How long a tick may list in the second trial: it has to go on several times."""


def race(bench: Bench) -> RaceResult:
    """Tick the sensor on a bucket with few new objects, in one go and with interruptions."""
    objects = bench.objects(OBJECTS, QUICK_OBJECTS)
    prefix = f"bucket-{objects}"
    seed(bench, prefix, objects, RECORDS, clients=objects * RECORDS)
    snapshot = _snapshot(bench, prefix, objects)

    def ticks(name: str, listing_seconds: float, fewest_ticks: int) -> Contender:
        return Contender(
            name=name,
            role="ours",
            module="benchmarks.contenders.sensor_ticks",
            options={"listing_seconds": str(listing_seconds), "fewest_ticks": str(fewest_ticks)},
            units=NEW,
            environment={
                **bench.environment(prefix),
                "KEYCASH_HOME": str(snapshot.parent),
                "KEYCASH_PUBLISHED": str(snapshot),
            },
        )

    interrupted = "several ticks that stop and go on"
    whole, parts = bench.time(
        [
            ticks("one tick", BUDGET_SECONDS, 1),
            ticks(interrupted, 0.0 if bench.quick else STOPPED_AFTER_SECONDS, 2),
        ]
    )
    return RaceResult(
        "bucket",
        f"A big bucket: {objects:,} objects, {NEW} of them new",
        [whole, parts],
        [
            Target("seconds of a tick", whole.median, BUDGET_SECONDS, at_most=True),
            Target("peak memory of a tick, MiB", _mebibytes(whole), MEMORY_BOUND_MIB, at_most=True),
        ],
        [f"All {NEW} new objects were found each time, or the race would have ended."],
    )


def _mebibytes(figure: Figure) -> float:
    return (figure.peak_memory_bytes or 0) / 1024**2


def _snapshot(bench: Bench, prefix: str, objects: int) -> Path:
    """A published snapshot whose ledger has all but some objects, kept from call to call."""
    tables = "".join(map(sql.statement, sql.statement_names("tables")))
    fingerprint = hashlib.sha256(tables.encode()).hexdigest()[:12]
    path = bench.home / "bucket" / f"{objects}-{fingerprint}.duckdb"
    if path.exists():
        return path
    bench.say("making its ledger")
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    new = {key(prefix, number) for number in range(0, objects, objects // NEW)}
    known = [v for v in bench.bucket(prefix).all_versions() if v.key not in new]
    listed = pa.table(
        {
            "object_key": [version.key for version in known],
            "object_etag": [version.etag for version in known],
            "size_bytes": [version.size_bytes for version in known],
            "last_modified": [version.last_modified for version in known],
        }
    )
    connection = connect_to_write(str(unfinished))
    create_tables(connection)
    connection.register("listed", listed)
    connection.execute(statement("bucket_ledger"))
    connection.close()
    unfinished.replace(path)
    return path
