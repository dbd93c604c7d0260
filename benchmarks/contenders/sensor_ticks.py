"""Ours: ticks of the sensor on a big bucket, until its listing is through."""

import json
import os
from collections.abc import Mapping

import dagster as dg
import obstore  # noqa: F401  imports are no part of a tick
import pyarrow as pa  # noqa: F401

from benchmarks.measuring import Stopwatch, run_contender
from keycash_assets import sensors
from keycash_assets.backlog import Backlog
from keycash_assets.bucket import Bucket
from keycash_assets.definitions import build_definitions
from keycash_assets.resources import Published
from keycash_assets.settings import Settings


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Tick as the daemon does, and count the objects that were found new."""
    if options["listing_seconds"]:
        sensors.LISTING_SECONDS = float(options["listing_seconds"])
    found = _counted_backlogs()
    definitions = build_definitions(Settings.from_environment(os.environ))
    resources = definitions.resources or {}
    cursor: str | None = None
    ticks = 0
    with dg.DagsterInstance.local_temp(options["folder"]) as instance:
        while ticks == 0 or (cursor and json.loads(cursor)["resume_after"]):
            with stopwatch:
                context = dg.build_sensor_context(
                    instance=instance,
                    cursor=cursor,
                    definitions=definitions,
                    resources={
                        name: resources[name]
                        for name in ("object_store", "published", "bucket_events")
                    },
                )
                cursor = sensors.s3_object_sensor.evaluate_tick(context).cursor
            ticks += 1
    if ticks < int(options["fewest_ticks"]):
        return 0
    return sum(found)


def _counted_backlogs() -> list[int]:
    """How many new objects each tick from now on finds: many of them get no partitions."""
    found: list[int] = []
    watch = sensors.watch

    def counted(bucket: Bucket, published: Published, after: str | None, until: float) -> Backlog:
        backlog = watch(bucket, published, after, until)
        found.append(len(backlog.new))
        return backlog

    sensors.watch = counted
    return found


if __name__ == "__main__":
    run_contender(work)
