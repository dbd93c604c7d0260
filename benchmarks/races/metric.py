"""Race 3: the metric, kept up to date or computed from scratch."""

import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, cast

from benchmarks.bench import Bench, BenchmarkError
from benchmarks.documents import seed
from benchmarks.history import RECORDS_PER_OBJECT, history
from benchmarks.measuring import most_memory
from benchmarks.results import Figure, RaceResult, Target, ratio
from benchmarks.sql import statement
from keycash_assets import sql
from keycash_assets.bucket import Bucket
from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS, find_offenders
from keycash_assets.loading import load_everything_new
from keycash_assets.metric import update_credit_per_day
from keycash_assets.publishing import publish
from keycash_assets.warehouse import MEMORY_LIMIT, connect_to_write, transaction

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

ROWS = 10_000_000
CLIENTS = (1_000_000, 2_000_000, 10_000_000)
BATCHES = (1_000, 10_000, 100_000)
QUICK_ROWS = 200_000
QUICK_CLIENTS = (20_000, 40_000, 200_000)
QUICK_BATCHES = (500, 1_000)
WARMING_RUNS = 2
"""Computations from scratch before the first round: they take up to twice as long as later ones."""

PUBLISHING_SHARE = 0.5
"""What publishing may take of the work of a run with a batch of 1,000, at full size."""

_STATEMENTS = {
    "find": "metric/latest_request_changes",
    "remove": "metric/latest_requests_removal",
    "insert": "metric/latest_requests",
}
UPDATE_PARTS = (*_STATEMENTS, "days", "commit")
"""The parts of an update: find whose request changes, replace it, sum the days, commit."""

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
        measured = measure(bench, rows, clients, sizes, anew=clients == typical)
        update, scratch = measured[f"update {batches[0]}"], measured["from scratch"]
        targets.append(
            Target(
                f"update by {batches[0]:,} / from scratch, {clients:,} clients",
                ratio(update, scratch),
                1 / 20,
                at_most=True,
            )
        )
        figures += [update, *(measured[part] for part in UPDATE_PARTS), scratch]
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
            parts["publish a whole copy"],
            parts["compute everything anew"],
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
            "same, or the race would have ended. In every second round the computation from "
            "scratch goes first.",
            "A run here is load, update, all checks and publishing, without Dagster around them; "
            "the daily full load and a replay make the checks of everything.",
        ],
    )


def measure(
    bench: Bench, rows: int, clients: int, batches: tuple[int, ...], *, anew: bool = False
) -> dict[str, Figure]:
    """Load batches and update, round after round, on a copy of a history that grows by them.

    Args:
        bench: Where.
        rows: Requests in the history.
        clients: Clients that they are of.
        batches: Sizes of the batches, in requests.
        anew: Whether the platform's own computation of everything is measured as well.
    """
    original = history(bench, rows, clients)
    samples: Samples = defaultdict(list)
    with bench.scratch() as folder, ExitStack() as lease:
        database = folder / "warehouse.duckdb"
        shutil.copyfile(original, database)
        connection = connect_to_write(str(database))
        snapshot = folder / "published.duckdb"
        publish_to = partial(publish, connection, str(database), run_id="benchmark", lease=lease)
        publish_it = partial(publish_to, snapshot)
        publish_whole = partial(publish_to, folder / "whole.duckdb", anew=True)
        try:
            # Twice before, as a platform has that runs: then there is a snapshot to go on from.
            publish_it()
            publish_it()
            for _ in range(WARMING_RUNS):
                _compute_from_scratch(connection)
            first = rows
            for number in range(bench.runs):
                bench.say(f"round {number + 1} of {bench.runs}: {rows:,} rows, {clients:,} clients")
                for size in batches:
                    # Numbers that neither the history nor another batch has.
                    prefix = f"metric-{RECORDS_PER_OBJECT}/{rows}-{clients}/{first}-{size}"
                    objects = size // RECORDS_PER_OBJECT
                    seed(bench, prefix, objects, RECORDS_PER_OBJECT, clients, first)
                    first += size
                    measured = _round(
                        connection, bench.bucket(prefix), scratch_first=bool(number % 2)
                    )
                    samples[f"update {size}"].append(measured.pop("update"))
                    if size == batches[0]:
                        for name, seconds in measured.items():
                            samples[name].append(seconds)
                        samples["publish"].append(_seconds(publish_it))
                        samples["publish a whole copy"].append(_seconds(publish_whole))
                        if anew:
                            samples["compute everything anew"].append(_anew(connection, prefix))
        finally:
            connection.close()
        megabytes = database.stat().st_size / 1e6
    details = {
        "publish": f"{megabytes:,.0f} MB",
        "publish a whole copy": "as after a full load, or beside a reader that stays",
        "from scratch": "one statement, without a memory limit; nothing is written or compared",
        "checks": "of what loads have changed, where that is enough",
        "compute everything anew": "as a full load does, within the platform's memory",
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
    return f"of the update: {name}" if name in UPDATE_PARTS else name


def _role(name: str) -> str:
    if name == "from scratch":
        return "floor"
    return "ours" if name.startswith("update ") else "part"


def _round(connection: "Connection", bucket: Bucket, *, scratch_first: bool) -> dict[str, float]:
    """Load a batch, update, and compare with the metric from scratch.

    Args:
        connection: The warehouse.
        bucket: Holds the batch.
        scratch_first: Whether the computation from scratch goes before the update.

    Returns:
        The seconds that each part took.

    Raises:
        BenchmarkError: The updated metric is not the one from scratch.
    """
    seconds = {"load": _seconds(load_everything_new, connection, bucket, bucket.prefix)}
    if scratch_first:
        computed, seconds["from scratch"] = _compute_from_scratch(connection)
    seconds.update(_update(connection, bucket.prefix))
    if not scratch_first:
        computed, seconds["from scratch"] = _compute_from_scratch(connection)
    kept_up = connection.table("credit_per_day").order("data_solicitada").fetchall()
    if kept_up != computed:
        raise BenchmarkError("The metric is not the one from scratch.")
    for everything, name in ((False, "checks"), (True, "checks of everything")):
        seconds[name] = 0.0
        for check in (*LANDING_CHECKS, *METRIC_CHECKS):
            started = time.perf_counter()
            offenders = find_offenders(connection, check, everything=everything)
            seconds[name] += time.perf_counter() - started
            if check == _EXACT and offenders.count:
                raise BenchmarkError(f"{check.name} found: {offenders.first[:3]}")
    return seconds


def _compute_from_scratch(connection: "Connection") -> tuple[Sequence[object], float]:
    """The metric from the records alone, and the seconds that it took."""
    query = statement("credit_per_day_from_scratch")
    # Without the limit it is up to twice as fast, as nothing goes to the disk.
    connection.execute("SET memory_limit = $limit", {"limit": most_memory()})
    started = time.perf_counter()
    computed = connection.execute(query).fetchall()
    seconds = time.perf_counter() - started
    connection.execute("SET memory_limit = $limit", {"limit": MEMORY_LIMIT})
    return computed, seconds


def _anew(connection: "Connection", run_id: str) -> float:
    """The seconds in which the platform computes everything anew; nothing may differ.

    Raises:
        BenchmarkError: A day got another total.
    """
    started = time.perf_counter()
    with transaction(connection):
        differing = update_credit_per_day(
            connection, run_id, datetime.now(timezone.utc), everything=True
        )
    if differing:
        raise BenchmarkError(f"{differing} days differ where everything is computed anew.")
    return time.perf_counter() - started


class _Timed:
    """A connection that notes how long the statements of each part of the update take."""

    def __init__(self, connection: "Connection", seconds: dict[str, float]) -> None:
        self._connection = connection
        self._seconds = seconds

    def execute(self, query: str, parameters: object = None) -> "Connection":
        started = time.perf_counter()
        result = self._connection.execute(query, parameters)
        self._seconds[_part(query)] += time.perf_counter() - started
        return result


def _part(query: str) -> str:
    names = (name for name, of_part in _STATEMENTS.items() if query == sql.statement(of_part))
    return next(names, "days")


def _update(connection: "Connection", run_id: str) -> dict[str, float]:
    """The seconds of the update, and of its parts."""
    seconds = dict.fromkeys(UPDATE_PARTS, 0.0)
    timed = cast("Connection", _Timed(connection, seconds))
    started = time.perf_counter()
    with transaction(connection):
        update_credit_per_day(timed, run_id, datetime.now(timezone.utc))
    total = time.perf_counter() - started
    return {"update": total, **seconds, "commit": total - sum(seconds.values())}


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started
