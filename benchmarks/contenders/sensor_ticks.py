"""Ours: ticks of the sensor on a big bucket, until its listing is through."""

import json
import os
from collections.abc import Mapping

import dagster as dg
import obstore  # noqa: F401  imports are no part of a tick
import pyarrow as pa  # noqa: F401

from benchmarks.measuring import Stopwatch, run_contender
from keycash_assets import sensors
from keycash_assets.definitions import build_definitions
from keycash_assets.settings import Settings


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Tick as the daemon does, and count the objects that were found new."""
    sensors.LISTING_SECONDS = float(options["listing_seconds"])
    definitions = build_definitions(Settings.from_environment(os.environ))
    resources = definitions.resources or {}
    found: set[str] = set()
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
            found.update(instance.get_dynamic_partitions("objects"))
    if ticks < int(options["fewest_ticks"]):
        return 0
    return len(found)


if __name__ == "__main__":
    run_contender(work)
