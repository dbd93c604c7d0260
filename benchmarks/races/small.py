"""Race 1: many small objects, each a document of five requests, as the real ones are."""

from benchmarks.bench import RIVALS, Bench, Contender
from benchmarks.documents import REQUESTS_IN_FLIGHT, seed
from benchmarks.results import RaceResult, Target, ratio

OBJECTS = 20_000
QUICK_OBJECTS = 2_000
RECORDS = 5
TUNED_THREADS = 32
"""Threads of DuckDB that wait for the network: more gain nothing here."""


def race(bench: Bench) -> RaceResult:
    """Load the objects into a new warehouse; slow rivals get a quarter of them, or a tenth."""
    objects = bench.objects(OBJECTS, QUICK_OBJECTS)
    sizes = (objects, objects // 4, objects // 10)
    for size in sizes:
        seed(bench, _prefix(size), size, RECORDS, clients=size * RECORDS * 9 // 10)

    def contender(name: str, role: str, module: str, size: int, **options: str) -> Contender:
        return Contender(
            name=name,
            role=role,
            module=f"benchmarks.{'rivals' if role == 'rival' else 'contenders'}.{module}",
            options={
                "prefix": _prefix(size),
                "objects": str(size),
                "records": str(RECORDS),
                **options,
            },
            units=size * RECORDS,
            environment=bench.environment(_prefix(size)),
            interpreter=RIVALS if role == "rival" else Contender.interpreter,
            detail="" if size == objects else f"on {size:,} of the {objects:,} objects",
        )

    all_of_them, a_quarter, a_tenth = sizes
    floor, ours, tuned, plain, loop, dlt = bench.race(
        [
            contender(
                "obstore: fetch and throw away",
                "floor",
                "fetch_and_throw_away",
                all_of_them,
                in_flight=str(REQUESTS_IN_FLIGHT),
            ),
            contender("load_everything_new", "ours", "load_everything_new", all_of_them),
            contender(
                "read_json over httpfs, tuned",
                "rival",
                "duckdb_httpfs",
                all_of_them,
                threads=str(TUNED_THREADS),
            ),
            contender("read_json over httpfs", "rival", "duckdb_httpfs", a_quarter, threads=""),
            contender("boto3 + pandas loop", "rival", "boto3_pandas_loop", a_tenth),
            contender("dlt filesystem source", "rival", "dlt_filesystem", a_tenth),
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


def _prefix(objects: int) -> str:
    return f"small-{objects}"
