"""Race 6: a big bucket, in which little is new, or everything."""

import hashlib
from pathlib import Path

import pyarrow as pa

from benchmarks.bench import Bench, Contender
from benchmarks.documents import key, seed
from benchmarks.results import Figure, RaceResult, Target
from benchmarks.sql import statement
from keycash_assets import sql
from keycash_assets.sensors import LISTING_SECONDS
from keycash_assets.warehouse import connect_to_write, create_tables

OBJECTS = 200_000
QUICK_OBJECTS = 5_000
NEW = 10
RECORDS = 5
MOST_SECONDS = 30.0
"""A tick lists for at most 20 s, and compares; Dagster ends it after 60."""

MEMORY_BOUND_MIB = 512
STOPPED_AFTER_SECONDS = 0.5
"""How long a tick may list in the second trial: it has to go on several times."""


def race(bench: Bench) -> RaceResult:
    """Tick the sensor on a bucket with few new objects, in one go or not, or with only new."""
    objects = bench.objects(OBJECTS, QUICK_OBJECTS)
    prefix = f"bucket-{objects}"
    seed(bench, prefix, objects, RECORDS, clients=objects * RECORDS)
    few_new = _snapshot(bench, prefix, objects, NEW)
    all_new = _snapshot(bench, prefix, objects, objects)

    def ticks(
        name: str,
        new: int = NEW,
        snapshot: Path = few_new,
        listing_seconds: str = "",
        fewest_ticks: int = 1,
    ) -> Contender:
        return Contender(
            name=name,
            role="ours",
            module="benchmarks.contenders.sensor_ticks",
            options={"listing_seconds": listing_seconds, "fewest_ticks": str(fewest_ticks)},
            units=new,
            environment={
                **bench.environment(prefix),
                "KEYCASH_HOME": str(snapshot.parent),
                "KEYCASH_PUBLISHED": str(snapshot),
            },
            detail=f"stopped after {listing_seconds} s of listing" if listing_seconds else "",
        )

    stopped_after = "0" if bench.quick else str(STOPPED_AFTER_SECONDS)
    whole, parts, first = bench.time(
        [
            ticks("one tick"),
            ticks(
                "several ticks that stop and go on", listing_seconds=stopped_after, fewest_ticks=2
            ),
            ticks("ticks with an empty ledger: all are new", new=objects, snapshot=all_new),
        ]
    )
    return RaceResult(
        "bucket",
        f"A big bucket: {objects:,} objects, {NEW} of them new",
        [whole, parts, first],
        [
            Target("seconds of a tick", whole.median, MOST_SECONDS, at_most=True),
            Target("peak memory of a tick, MiB", _mebibytes(whole), MEMORY_BOUND_MIB, at_most=True),
            Target(
                "peak memory of a tick, all new, MiB",
                _mebibytes(first),
                MEMORY_BOUND_MIB,
                at_most=True,
            ),
        ],
        [
            f"All new objects ({NEW}, or {objects:,}) were found each time, or the race would have "
            "ended. Where nothing else is said a tick lists for as long as the platform's own, "
            f"{LISTING_SECONDS:g} s at most.",
        ],
    )


def _mebibytes(figure: Figure) -> float:
    return (figure.peak_memory_bytes or 0) / 1024**2


def _snapshot(bench: Bench, prefix: str, objects: int, new: int) -> Path:
    """A published snapshot whose ledger has all but so many objects, kept from call to call."""
    tables = "".join(map(sql.statement, sql.statement_names("tables")))
    fingerprint = hashlib.sha256(tables.encode()).hexdigest()[:12]
    path = bench.home / "bucket" / f"{objects}-{new}-{fingerprint}.duckdb"
    if path.exists():
        return path
    bench.say("making its ledger")
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    unknown = {key(prefix, number) for number in range(0, objects, objects // new)}
    connection = connect_to_write(str(unfinished))
    create_tables(connection)
    known = [v for v in bench.bucket(prefix).all_versions() if v.key not in unknown]
    if known:
        listed = pa.table(
            {
                "object_key": [version.key for version in known],
                "object_etag": [version.etag for version in known],
                "size_bytes": [version.size_bytes for version in known],
                "last_modified": [version.last_modified for version in known],
            }
        )
        connection.register("listed", listed)
        connection.execute(statement("bucket_ledger"))
    connection.close()
    unfinished.replace(path)
    return path
