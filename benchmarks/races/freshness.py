"""Race 4: from a PUT to the number in the published snapshot, with ``keycash up``."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorTick
from dagster._core.storage.tags import SENSOR_NAME_TAG

from benchmarks.bench import Bench, BenchmarkError
from benchmarks.documents import REQUESTS_IN_FLIGHT, object_store
from benchmarks.plain_dagster import PlainDagster
from benchmarks.results import Figure, RaceResult, Target, ratio
from keycash_assets.progress import side_by_side
from keycash_assets.settings import Settings, object_store_environment
from keycash_assets_tests.living_platform import LivingPlatform, wait_for
from keycash_assets_tests.platform import credit_request, document

TRIALS = 30
QUICK_TRIALS = 3
SIZES = (1, 100)
RIVAL_FILES = 50
QUICK_RIVAL_FILES = 4
RIVAL_RECORDS = 5
RIVAL_LIMIT = 8
"""The rival is stopped once it has taken so many times as long: it would go on for half an hour."""

AMOUNT = 1_000
WAIT_SECONDS = 120.0

_POLL_SECONDS = 0.02
_FIRST_DAY = date(1990, 1, 1)
_STAGES = (
    "waiting for the tick",
    "tick",
    "queue",
    "launch and import",
    "load",
    "metric",
    "checks",
    "publish, until a reader sees it",
    "Dagster between steps",
)
_STEPS = {
    "landing_table": "load",
    "load_accounts": "load",
    "credit_metric": "metric",
    "landing_checks": "checks",
    "metric_checks": "checks",
}


def race(bench: Bench) -> RaceResult:
    """Put objects into the bucket of the living platform, and wait for their number."""
    trials = QUICK_TRIALS if bench.quick else TRIALS
    files = QUICK_RIVAL_FILES if bench.quick else RIVAL_FILES
    figures: list[Figure] = []
    ours: list[float] = []
    rival: list[float] = []
    rival_loaded: list[int] = []
    with bench.scratch() as folder:
        home = folder / "platform"
        with LivingPlatform.start(home, {}) as living:
            trial = _Trials(bench, living)
            trial.wait_until_idle()
            for size in SIZES:
                seconds = [trial.run(size) for _ in range(trials)]
                figures += trial.figures(size, seconds)
        for number in range(bench.runs):
            bench.say(f"round {number + 1} of {bench.runs}: {files} files, ours")
            with LivingPlatform.start(home, {}) as living:
                trial = _Trials(bench, living, 1 + len(SIZES) * trials + number)
                trial.wait_until_idle()
                ours.append(trial.run(files))
            bench.say(f"round {number + 1} of {bench.runs}: {files} files, a plain Dagster project")
            prefix = f"plain-dagster/{time.time_ns()}"
            with PlainDagster.running(bench, folder / f"rival-{number}", prefix) as plain:
                taken, loaded = plain.load(files, RIVAL_RECORDS, RIVAL_LIMIT * ours[-1])
                rival.append(taken)
                rival_loaded.append(loaded)
    platform = Figure(f"{files} objects at once", "s", tuple(ours))
    plain_dagster = Figure(
        f"{files} objects at once, a plain Dagster project",
        "s",
        tuple(rival),
        "rival",
        f"one run per file; stopped after {RIVAL_LIMIT} times as long as the platform took, "
        f"by when it had loaded {', '.join(map(str, rival_loaded))}",
    )
    return RaceResult(
        "freshness",
        "Freshness: from the PUT to the number in the published snapshot",
        [*figures, platform, plain_dagster],
        [Target("plain Dagster project / ours", ratio(plain_dagster, platform), 5)],
        [f"{trials} trials for each size on an idle platform, at all moments between two ticks."],
    )


class _Trials:
    """Trials on a living platform, each on a day of its own."""

    def __init__(self, bench: Bench, living: LivingPlatform, first: int = 0) -> None:
        self._bench = bench
        self._living = living
        self._number = first
        self._stages: dict[str, list[float]] = defaultdict(list)
        settings = Settings.from_environment({"KEYCASH_HOME": str(living.home)})
        self._store = dict(object_store_environment(settings, {}))

    def run(self, objects: int) -> float:
        """Put so many objects; seconds from the first PUT until a reader sees all of them.

        Raises:
            BenchmarkError: It did not come to pass.
        """
        self._number += 1
        # Ticks are some seconds apart: trials begin at every moment between them.
        time.sleep(self._number * 1.7 % 5)
        day = _FIRST_DAY + timedelta(days=self._number)
        names = [f"credit_requests/trial_{self._number}_{index}.json" for index in range(objects)]
        put_at = time.time()
        self._put(names, day)
        seen_at = self._wait(day, Decimal(objects * AMOUNT))
        self._bench.say(f"{objects} objects: {seen_at - put_at:.2f} s")
        self._add_stages(put_at, seen_at, names[-1])
        return seen_at - put_at

    def wait_until_idle(self) -> None:
        """Wait for a tick that begins from now on and finds nothing to do."""
        now = time.time()
        with dg.DagsterInstance.from_config(str(self._living.home / "dagster")) as instance:
            wait_for(
                lambda: any(
                    tick.timestamp > now and (tick.skip_reason or "").startswith("Nothing new")
                    for tick in _ticks(instance)
                ),
                "a tick with nothing to do",
            )

    def figures(self, objects: int, seconds: Sequence[float]) -> list[Figure]:
        """The trials since the last call, as figures."""
        stages, self._stages = self._stages, defaultdict(list)
        whole = Figure(f"{objects} objects", "s", tuple(seconds))
        ordered = (
            f"p50 {whole.median:.2f} s, p95 {whole.percentile(0.95):.2f} s, "
            f"mean {statistics.mean(seconds):.2f} s"
        )
        return [
            Figure(whole.name, "s", whole.samples, "ours", ordered),
            *(
                Figure(
                    f"{objects} objects: {stage}",
                    "s",
                    tuple(stages[stage]),
                    "part",
                    # Unlike medians they add up to the mean of the whole.
                    f"mean {statistics.mean(stages[stage]):.2f} s",
                )
                for stage in _STAGES
                if stages[stage]
            ),
        ]

    def _put(self, names: Sequence[str], day: date) -> None:
        import obstore  # noqa: PLC0415  shortens start-up

        store = object_store(self._store)
        requested_at = f"{day:%m/%d/%Y} 10:00"

        def put(name: str) -> None:
            obstore.put(store, name, document(credit_request(name, AMOUNT, requested_at)))

        side_by_side(put, names, REQUESTS_IN_FLIGHT)

    def _wait(self, day: date, total: Decimal) -> float:
        query = f"SELECT credito_solicitado FROM credit_per_day WHERE data_solicitada = '{day}'"
        deadline = time.monotonic() + WAIT_SECONDS
        inode = 0
        while time.monotonic() < deadline:
            seen = self._living.snapshot.stat().st_ino
            if seen != inode:
                inode = seen
                if self._living.published(query) == [(total,)]:
                    return time.time()
            time.sleep(_POLL_SECONDS)
        raise BenchmarkError(
            f"{day}: not published within {WAIT_SECONDS:.0f} s.\n{self._living.log.read_text()}"
        )

    def _add_stages(self, put_at: float, seen_at: float, key: str) -> None:
        """What the time went into, from what Dagster noted about the run that loaded the last."""
        ((run_id,),) = self._living.published(
            f"SELECT run_id FROM object_ledger WHERE object_key = '{key}'"
        )
        with dg.DagsterInstance.from_config(str(self._living.home / "dagster")) as instance:
            # The next trial is to find an idle platform.
            wait_for(lambda: _is_finished(instance, run_id), "the end of the run")
            moments = _moments(instance, run_id)
            ticked_at = _tick_of(instance, run_id)
        starts, ends = moments["STEP_START"], moments["STEP_SUCCESS"]
        run_started_at = moments["PIPELINE_START"][""]
        enqueued_at = moments["PIPELINE_ENQUEUED"].get("", ticked_at)
        launched_at = moments["PIPELINE_STARTING"][""]
        # A tick that was looking already found it.
        noticing_from = max(ticked_at, put_at)
        self._stages["waiting for the tick"].append(noticing_from - put_at)
        self._stages["tick"].append(enqueued_at - noticing_from)
        self._stages["queue"].append(launched_at - enqueued_at)
        self._stages["launch and import"].append(run_started_at - launched_at)
        stages = dict.fromkeys(_STEPS.values(), 0.0)
        for step, stage in _STEPS.items():
            stages[stage] += ends[step] - starts[step]
        stages["publish, until a reader sees it"] = seen_at - starts["published_snapshot"]
        stages["Dagster between steps"] = seen_at - run_started_at - sum(stages.values())
        for stage, seconds in stages.items():
            self._stages[stage].append(seconds)


def _is_finished(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and run.is_finished


def _moments(instance: dg.DagsterInstance, run_id: str) -> dict[str, dict[str, float]]:
    """When each kind of event of a run was, by step."""
    moments: dict[str, dict[str, float]] = defaultdict(dict)
    for entry in instance.all_logs(run_id):
        if entry.dagster_event is not None:
            kind = entry.dagster_event.event_type_value
            moments[kind].setdefault(entry.dagster_event.step_key or "", entry.timestamp)
    return moments


def _ticks(instance: dg.DagsterInstance) -> Iterator[InstigatorTick]:
    """The last ticks of the sensor and the schedule."""
    for state in instance.all_instigator_state():
        yield from instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=50)


def _tick_of(instance: dg.DagsterInstance, run_id: str) -> float:
    """When the tick began that asked for a run.

    Raises:
        BenchmarkError: No tick did.
    """
    run = instance.get_run_by_id(run_id)
    if run is not None and SENSOR_NAME_TAG in run.tags:
        for tick in _ticks(instance):
            if run_id in tick.run_ids:
                return tick.timestamp
    raise BenchmarkError(f"Run {run_id} was not asked for by a tick of the sensor.")
