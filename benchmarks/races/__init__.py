"""The races, one a module."""

from collections.abc import Callable, Mapping

from benchmarks.bench import Bench
from benchmarks.races import bucket, dagster_cost, freshness, large, metric, scale, small, start_up
from benchmarks.results import RaceResult

RACES: Mapping[str, Callable[[Bench], RaceResult]] = {
    "small": small.race,
    "large": large.race,
    "metric": metric.race,
    "freshness": freshness.race,
    "bucket": bucket.race,
    "dagster": dagster_cost.race,
    "startup": start_up.race,
    "scale": scale.race,
}
"""By their names on the command line, in the order in which ``all`` runs them."""
