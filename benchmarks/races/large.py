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

PARTS_OF_A_LOAD = (
    ("ours, without inserting", "without inserting", "fetched, proved, split, as tables"),
    ("ours, into memory", "into memory", "typed as well, but neither compressed nor written"),
)
"""Name, option and remark of loads that end early: the differences are the profile."""


def race(bench: Bench) -> RaceResult:
    """Load few large documents into a new warehouse, within a bound of memory."""
    documents = bench.objects(DOCUMENTS, QUICK_DOCUMENTS)
    fetch = _contender(
        bench,
        ("obstore: fetch and throw away", "part", "fetch_and_throw_away"),
        documents,
        "what of ours is the network",
        {"in_flight": "4"},
    )
    parts = [
        _contender(
            bench,
            (name, "part", "parts_of_a_load"),
            documents,
            detail,
            {"part": part},
        )
        for name, part, detail in PARTS_OF_A_LOAD
    ]
    floor, ours, *others = bench.race(
        [*floor_and_ours(bench, documents), fetch, *parts], "records/s"
    )
    return RaceResult(
        "large",
        f"Few large objects: {documents:,} documents of {RECORDS:,} records",
        [floor, ours, *others],
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


def floor_and_ours(bench: Bench, documents: int) -> list[Contender]:
    """The floor and the platform, on so many documents."""
    floor = ("read_json from local disk", "floor", "read_local_json")
    ours = ("load_everything_new", "ours", "load_everything_new")
    files = {"files": str(_local_copies(bench, documents) / "*.json")}
    detail = "no network, provenance, digest or verbatim record"
    return [
        _contender(bench, floor, documents, detail, files),
        _contender(bench, ours, documents, "everything included", {}),
    ]


def _contender(
    bench: Bench, who: tuple[str, str, str], documents: int, detail: str, options: dict[str, str]
) -> Contender:
    name, role, module = who
    prefix = f"large-{documents}"
    seed(bench, prefix, documents, RECORDS, _clients(documents))
    return Contender(
        name=name,
        role=role,
        module=f"benchmarks.contenders.{module}",
        options={"prefix": prefix, "objects": str(documents), "records": str(RECORDS), **options},
        units=documents * RECORDS,
        environment=bench.environment(prefix),
        detail=detail,
    )


def _clients(documents: int) -> int:
    return documents * RECORDS // 2


def _local_copies(bench: Bench, documents: int) -> Path:
    """The same bytes in a folder, kept from one call to the next."""
    folder = bench.home / "documents" / f"large-{documents}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / Path(key("", number)).name for number in range(documents)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    with progress_bar("Writing", len(missing)) as advance:
        for number in missing:
            beside = paths[number].with_suffix(".part")
            beside.write_bytes(document(number * RECORDS, RECORDS, _clients(documents)))
            beside.replace(paths[number])
            advance(1)
    return folder
