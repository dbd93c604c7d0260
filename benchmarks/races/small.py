"""Race 1: many small objects, each a document of five requests, as the real ones are."""

from benchmarks.bench import Bench, Contender
from benchmarks.documents import REQUESTS_IN_FLIGHT, seed
from benchmarks.environments import OURS, RIVALS
from benchmarks.races.large import PARTS_OF_A_LOAD
from benchmarks.results import RaceResult, Target, ratio

OBJECTS = 20_000
QUICK_OBJECTS = 2_000
RECORDS = 5
TUNED_THREADS = 32
"""Threads of DuckDB that wait for the network: more gain nothing here."""


def race(bench: Bench) -> RaceResult:
    """Load many small objects into a new warehouse; all contenders load the same ones."""
    objects = bench.objects(OBJECTS, QUICK_OBJECTS)

    def rival(name: str, module: str, **options: str) -> Contender:
        return _contender(bench, (name, "rival", f"rivals.{module}"), objects, options)

    parts = [
        _contender(bench, (name, "part", "contenders.parts_of_a_load"), objects, {"part": part}, of)
        for name, part, of in (
            ("ours, listing alone", "listing", "listed and compared with the ledger"),
            *PARTS_OF_A_LOAD,
        )
    ]
    floor, ours, tuned, plain, loop, dlt, *others = bench.race(
        [
            *floor_and_ours(bench, objects),
            rival("read_json over httpfs, tuned", "duckdb_httpfs", threads=str(TUNED_THREADS)),
            rival("read_json over httpfs", "duckdb_httpfs", threads=""),
            rival("boto3 + pandas loop", "boto3_pandas_loop"),
            rival("dlt filesystem source", "dlt_filesystem"),
            *parts,
        ],
        "records/s",
    )
    return RaceResult(
        "small",
        f"Many small objects: {objects:,} documents of {RECORDS} records from S3 into a table",
        [floor, ours, tuned, plain, loop, dlt, *others],
        [
            Target("ours / floor", ratio(ours, floor), 0.7),
            Target("ours / dlt", ratio(ours, dlt), 15),
            Target("ours / boto3 + pandas loop", ratio(ours, loop), 10),
            Target("ours / read_json over httpfs, tuned", ratio(ours, tuned), 1),
        ],
        [
            "Ours lists, keeps the ledger, proves each object's version and digest, and stores "
            "each record with its origin; the floor is told the keys, and the others keep less.",
        ],
    )


def floor_and_ours(bench: Bench, objects: int) -> list[Contender]:
    """The floor and the platform, on so many objects."""
    in_flight = {"in_flight": str(REQUESTS_IN_FLIGHT)}
    floor = ("obstore: fetch and throw away", "floor", "contenders.fetch_and_throw_away")
    ours = ("load_everything_new", "ours", "contenders.load_everything_new")
    return [
        _contender(bench, floor, objects, in_flight),
        _contender(bench, ours, objects, {}),
    ]


def _contender(
    bench: Bench,
    who: tuple[str, str, str],
    objects: int,
    options: dict[str, str],
    detail: str = "",
) -> Contender:
    """A contender on these objects, which have a prefix of their own."""
    name, role, module = who
    prefix = f"small-{objects}"
    seed(bench, prefix, objects, RECORDS, clients=objects * RECORDS * 9 // 10)
    return Contender(
        name=name,
        role=role,
        module=f"benchmarks.{module}",
        options={"prefix": prefix, "objects": str(objects), "records": str(RECORDS), **options},
        units=objects * RECORDS,
        environment=bench.environment(prefix),
        interpreter=RIVALS if role == "rival" else OURS,
        detail=detail,
    )
