"""A light guard against getting slower: ratios to the floor, with a wide margin."""

from benchmarks.bench import Bench
from benchmarks.races import large, metric, small
from benchmarks.results import RaceResult, Target, ratio

SMALL_OBJECTS = 2_000
LARGE_DOCUMENTS = 5
ROWS = 1_000_000
CLIENTS = 200_000
BATCH = 1_000

LEAST_OF_SMALL_FLOOR = 0.35
LEAST_OF_LARGE_FLOOR = 0.3
MOST_OF_FROM_SCRATCH = 0.5
"""Half of what the races want, or less: what is worse than these is no noise."""


def guard(bench: Bench) -> RaceResult:
    """Compare the loads with their floors and the update with the computation from scratch."""
    small_floor, small_ours = bench.race(small.floor_and_ours(bench, SMALL_OBJECTS), "records/s")
    large_floor, large_ours = bench.race(large.floor_and_ours(bench, LARGE_DOCUMENTS), "records/s")
    of_metric = metric.measure(bench, ROWS, CLIENTS, (BATCH,))
    update, scratch = of_metric[f"update {BATCH}"], of_metric["from scratch"]
    small_ratio, large_ratio = ratio(small_ours, small_floor), ratio(large_ours, large_floor)
    return RaceResult(
        "guard",
        "Guard: nothing has become much slower",
        [small_floor, small_ours, large_floor, large_ours, scratch, update],
        [
            Target("small objects, ours / floor", small_ratio, LEAST_OF_SMALL_FLOOR),
            Target("large objects, ours / floor", large_ratio, LEAST_OF_LARGE_FLOOR),
            Target(
                "update / from scratch",
                ratio(update, scratch),
                MOST_OF_FROM_SCRATCH,
                at_most=True,
            ),
        ],
    )
