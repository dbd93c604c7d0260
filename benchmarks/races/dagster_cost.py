"""Race 7: what Dagster costs by itself, from which caps and retention follow."""

from benchmarks.bench import Bench, Contender, bare_environment
from benchmarks.results import Figure, RaceResult

EVENTS = (1, 50, 1_000)
PARTITIONS = (1_000, 10_000, 50_000)
RUNS_KEPT = (100, 1_000, 10_000)
QUICK_EVENTS = (1, 20)
QUICK_PARTITIONS = (100, 1_000)
QUICK_RUNS_KEPT = (10, 100)


def race(bench: Bench) -> RaceResult:
    """Measure events, partitions, runs kept and run start-up with Dagster's SQLite storage."""

    def contender(name: str, measure: str, count: int) -> Contender:
        return Contender(
            name=name.format(f"{count:,}"),
            role="part",
            module="benchmarks.contenders.dagster_cost",
            options={"measure": measure, "count": str(count)},
            units=count,
            environment=bare_environment(),
        )

    events = QUICK_EVENTS if bench.quick else EVENTS
    partitions = QUICK_PARTITIONS if bench.quick else PARTITIONS
    runs_kept = QUICK_RUNS_KEPT if bench.quick else RUNS_KEPT
    figures = bench.time(
        [
            contender("the platform's definitions imported and built", "import_definitions", 1),
            contender("first run of a process", "first_run", 1),
            *(contender("run with {} partition events", "warm_run", count) for count in events),
            *(contender("{} partitions added", "add_partitions", count) for count in partitions),
            *(
                contender("10 keys moved to the end of {} partitions", "move_partitions", count)
                for count in partitions
            ),
            *(
                contender("run of 1 among {} partitions", "run_among_partitions", count)
                for count in partitions
            ),
            *(
                contender("a tick's questions among {} runs kept", "ask_among_runs", count)
                for count in runs_kept
            ),
        ]
    )
    one, *_, many = figures[2 : 2 + len(events)]
    per_event = tuple(
        1_000 * (with_many - with_one) / (events[-1] - events[0])
        for with_one, with_many in zip(one.samples, many.samples, strict=True)
    )
    return RaceResult(
        "dagster",
        "Dagster's own cost, with its SQLite storage and assets that do nothing",
        [*figures, Figure("one more partition event in a run", "ms", per_event, "part")],
    )
