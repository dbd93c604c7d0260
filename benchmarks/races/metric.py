"""Race 3: the metric, kept up to date or computed from scratch."""

import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, BenchmarkError
from benchmarks.documents import seed
from benchmarks.history import history
from benchmarks.results import Figure, RaceResult, Target, ratio
from keycash_assets.bucket import Bucket
from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS, find_offenders
from keycash_assets.loading import load_everything_new
from keycash_assets.metric import update_credit_per_day
from keycash_assets.publishing import publish
from keycash_assets.warehouse import connect_to_write, transaction

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

ROWS = 10_000_000
CLIENTS = (1_000_000, 2_000_000, 10_000_000)
BATCHES = (1_000, 10_000, 100_000)
RECORDS_PER_OBJECT = 100
QUICK_ROWS = 200_000
QUICK_CLIENTS = (20_000, 40_000, 200_000)
QUICK_BATCHES = (500, 1_000)
PUBLISHING_SHARE = 0.5
"""What publishing may take of the work of a run with a batch of 1,000, at full size."""

_EXACT = next(check for check in METRIC_CHECKS if check.name == "credit_per_day_is_exact")

Samples = dict[str, list[float]]


def race(bench: Bench) -> RaceResult:
    """Bring the metric up to date after a batch, among millions of requests."""
    rows = QUICK_ROWS if bench.quick else ROWS
    batches = QUICK_BATCHES if bench.quick else BATCHES
    figures: list[Figure] = []
    targets: list[Target] = []
    parts: Mapping[str, Figure] = {}
    # A tenth of the history first: what is flat costs the same in both.
    some_clients = QUICK_CLIENTS if bench.quick else CLIENTS
    typical = some_clients[1]
    small = measure(bench, rows // 10, typical // 10, batches[:1])
    for clients in some_clients:
        sizes = batches if clients == typical else batches[:1]
        measured = measure(bench, rows, clients, sizes)
        update, scratch = measured[f"update {batches[0]}"], measured["from scratch"]
        targets.append(
            Target(
                f"update by {batches[0]:,} / from scratch, {clients:,} clients",
                ratio(update, scratch),
                1 / 20,
                at_most=True,
            )
        )
        figures += [update, scratch]
        if clients == typical:
            figures += [measured[f"update {size}"] for size in sizes[1:]]
            parts = measured
    run = [parts["load"], parts[f"update {batches[0]}"], parts["checks"], parts["publish"]]
    share = statistics.median(
        publish / (load + update + checks + publish)
        for load, update, checks, publish in zip(*(part.samples for part in run), strict=True)
    )
    largest = parts[f"update {batches[-1]}"]
    return RaceResult(
        "metric",
        f"The metric: {rows:,} requests of history, then a batch",
        [
            *figures,
            small[f"update {batches[0]}"],
            parts["load"],
            parts["checks"],
            parts["checks of everything"],
            parts["publish"],
        ],
        [
            *targets,
            Target(
                f"update by {batches[0]:,}: among {rows:,} / among {rows // 10:,} requests",
                ratio(parts[f"update {batches[0]}"], small[f"update {batches[0]}"]),
                3,
                at_most=True,
            ),
            Target(
                f"update by {batches[-1]:,} / by {batches[0]:,}",
                ratio(largest, parts[f"update {batches[0]}"]),
                batches[-1] / batches[0],
                at_most=True,
            ),
            Target("share of publishing in a run", share, PUBLISHING_SHARE, at_most=True),
        ],
        [
            "After each update the metric is compared with the one from scratch: they were the "
            "same, or the race would have ended.",
            "A run here is load, update, all checks and publishing, without Dagster around them; "
            "the daily full load and a replay make the checks of everything.",
        ],
        {
            "batch": [float(size) for size in batches],
            "seconds": [parts[f"update {size}"].median for size in batches],
        },
    )


def measure(bench: Bench, rows: int, clients: int, batches: tuple[int, ...]) -> dict[str, Figure]:
    """Load batches and update, round after round, on a copy of a history that grows by them."""
    original = history(bench, rows, clients)
    samples: Samples = defaultdict(list)
    with bench.scratch() as folder, ExitStack() as lease:
        database = folder / "warehouse.duckdb"
        shutil.copyfile(original, database)
        connection = connect_to_write(str(database))
        snapshot = folder / "published.duckdb"
        publish_it = partial(publish, connection, str(database), snapshot, "benchmark", lease)
        try:
            # Twice before, as a platform has that runs: then there is a snapshot to go on from.
            publish_it()
            publish_it()
            first = rows
            for number in range(bench.runs):
                bench.say(f"round {number + 1} of {bench.runs}: {rows:,} rows, {clients:,} clients")
                for size in batches:
                    # Numbers that neither the history nor another batch has.
                    prefix = f"metric/{rows}-{clients}/{first}-{size}"
                    objects = size // RECORDS_PER_OBJECT
                    seed(bench, prefix, objects, RECORDS_PER_OBJECT, clients, first)
                    first += size
                    measured = _round(connection, bench.bucket(prefix))
                    samples[f"update {size}"].append(measured.pop("update"))
                    if size == batches[0]:
                        for name, seconds in measured.items():
                            samples[name].append(seconds)
                        samples["publish"].append(_seconds(publish_it))
        finally:
            connection.close()
        megabytes = database.stat().st_size / 1e6
    details = {
        "publish": f"{megabytes:,.0f} MB",
        "from scratch": "the statement of the check, which compares as well",
        "checks": "of what loads have changed, where that is enough",
    }
    return {
        name: Figure(
            f"{_title(name)}, {rows:,} requests, {clients:,} clients",
            "s",
            tuple(values),
            _role(name),
            details.get(name, ""),
        )
        for name, values in samples.items()
    }


def _title(name: str) -> str:
    if name.startswith("update "):
        return f"update by {int(name.split()[1]):,}"
    return name


def _role(name: str) -> str:
    if name == "from scratch":
        return "floor"
    return "ours" if name.startswith("update ") else "part"


def _round(connection: "Connection", bucket: Bucket) -> dict[str, float]:
    """Load a batch, update, and compare with the metric from scratch.

    Returns:
        The seconds that each part took.

    Raises:
        BenchmarkError: The updated metric is not the one from scratch.
    """
    seconds = {
        "load": _seconds(load_everything_new, connection, bucket, bucket.prefix),
        "update": _seconds(_update, connection, bucket.prefix),
    }
    offenders: list[object] = []
    seconds["from scratch"] = _seconds(
        lambda: offenders.extend(find_offenders(connection, _EXACT, everything=True).first)
    )
    if offenders:
        raise BenchmarkError(f"The metric is not the one from scratch: {offenders[:3]}")
    for everything, name in ((False, "checks"), (True, "checks of everything")):
        seconds[name] = sum(
            _seconds(partial(find_offenders, connection, check, everything=everything))
            for check in (*LANDING_CHECKS, *METRIC_CHECKS)
        )
    return seconds


def _update(connection: "Connection", run_id: str) -> None:
    with transaction(connection):
        update_credit_per_day(connection, run_id, datetime.now(timezone.utc))


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started
