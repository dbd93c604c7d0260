"""Race 2: few large objects."""

from pathlib import Path

from benchmarks.bench import Bench, Contender
from benchmarks.documents import document, key, seed
from benchmarks.results import RaceResult, Target, ratio
from keycash_assets.progress import progress_bar

DOCUMENTS = 100
QUICK_DOCUMENTS = 5
RECORDS = 50_000
MEMORY_BOUND_MIB = 2_048
"""What a load of documents of this size may hold at most."""


def race(bench: Bench) -> RaceResult:
    """Load large documents into a new warehouse, within a bound of memory."""
    documents = bench.objects(DOCUMENTS, QUICK_DOCUMENTS)
    prefix = f"large-{documents}"
    clients = documents * RECORDS // 2
    seed(bench, prefix, documents, RECORDS, clients)
    folder = _local_copies(bench, prefix, documents, clients)
    environment = bench.environment(prefix)
    sizes = {"prefix": prefix, "objects": str(documents), "records": str(RECORDS)}

    def contender(name: str, role: str, module: str, detail: str, **options: str) -> Contender:
        return Contender(
            name=name,
            role=role,
            module=f"benchmarks.contenders.{module}",
            options={**sizes, **options},
            units=documents * RECORDS,
            environment=environment,
            detail=detail,
        )

    floor, fetch, ours = bench.race(
        [
            contender(
                "read_json from local disk",
                "floor",
                "read_local_json",
                "no network, provenance, digest or verbatim record",
                files=str(folder / "*.json"),
            ),
            contender(
                "obstore: fetch and throw away",
                "part",
                "fetch_and_throw_away",
                "what of ours is the network",
                in_flight="4",
            ),
            contender("load_everything_new", "ours", "load_everything_new", "everything included"),
        ],
        "records/s",
    )
    megabytes = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return RaceResult(
        "large",
        f"Few large objects: {documents:,} documents of {RECORDS:,} records ({megabytes:,.0f} MB)",
        [floor, fetch, ours],
        [
            Target("ours / floor", ratio(ours, floor), 0.6),
            Target(
                "peak memory of ours, MiB",
                (ours.peak_memory_bytes or 0) / 1024**2,
                MEMORY_BOUND_MIB,
                at_most=True,
            ),
        ],
    )


def _local_copies(bench: Bench, prefix: str, documents: int, clients: int) -> Path:
    """The same bytes in a folder, kept from one call to the next."""
    folder = bench.home / "documents" / prefix
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / Path(key(prefix, number)).name for number in range(documents)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    with progress_bar("Writing", len(missing)) as advance:
        for number in missing:
            beside = paths[number].with_suffix(".part")
            beside.write_bytes(document(number * RECORDS, RECORDS, clients))
            beside.replace(paths[number])
            advance(1)
    return folder
