"""Race 1: many small objects, each a document of five requests, as the real ones are."""

from benchmarks.bench import OURS, RIVALS, Bench, Contender
from benchmarks.documents import REQUESTS_IN_FLIGHT, seed
from benchmarks.results import RaceResult, Target, ratio

OBJECTS = 20_000
QUICK_OBJECTS = 2_000
RECORDS = 5
TUNED_THREADS = 32
"""Threads of DuckDB that wait for the network: more gain nothing here."""


def race(bench: Bench) -> RaceResult:
    """Load many small objects into a new warehouse; slow rivals get a quarter or a tenth."""
    objects = bench.objects(OBJECTS, QUICK_OBJECTS)

    def rival(name: str, module: str, share: int, **options: str) -> Contender:
        return _contender(bench, (name, "rival", f"rivals.{module}"), objects, share, options)

    floor, ours, tuned, plain, loop, dlt = bench.race(
        [
            *floor_and_ours(bench, objects),
            rival("read_json over httpfs, tuned", "duckdb_httpfs", 1, threads=str(TUNED_THREADS)),
            rival("read_json over httpfs", "duckdb_httpfs", 4, threads=""),
            rival("boto3 + pandas loop", "boto3_pandas_loop", 10),
            rival("dlt filesystem source", "dlt_filesystem", 10),
        ],
        "records/s",
    )
    return RaceResult(
        "small",
        f"Many small objects: {objects:,} documents of {RECORDS} records from S3 into a table",
        [floor, ours, tuned, plain, loop, dlt],
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
        _contender(bench, floor, objects, 1, in_flight),
        _contender(bench, ours, objects, 1, {}),
    ]


def _contender(
    bench: Bench, who: tuple[str, str, str], objects: int, share: int, options: dict[str, str]
) -> Contender:
    """A contender on a share of the objects, which have a prefix of their own."""
    name, role, module = who
    size = objects // share
    prefix = f"small-{size}"
    seed(bench, prefix, size, RECORDS, clients=size * RECORDS * 9 // 10)
    return Contender(
        name=name,
        role=role,
        module=f"benchmarks.{module}",
        options={"prefix": prefix, "objects": str(size), "records": str(RECORDS), **options},
        units=size * RECORDS,
        environment=bench.environment(prefix),
        interpreter=RIVALS if role == "rival" else OURS,
        detail="" if share == 1 else f"on {size:,} of the {objects:,} objects",
    )
