"""What Dagster itself costs, on assets that do nothing and an instance as the platform has it."""

import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from benchmarks.measuring import Stopwatch, run_contender
from keycash_assets.core.objects import superseded_partitions

_objects = dg.DynamicPartitionsDefinition(name="objects")
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.asset(partitions_def=_objects, backfill_policy=dg.BackfillPolicy.single_run())
def _nothing(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
    return dg.MaterializeResult(metadata={"keys": len(context.partition_keys)})


_definitions = dg.Definitions(
    assets=[_nothing],
    jobs=[dg.define_asset_job("nothing", selection=[_nothing])],
    executor=dg.in_process_executor,
)


def _keys(count: int) -> list[str]:
    return [f"credit_requests/requests_{number:07d}.json" for number in range(count)]


def _run(instance: dg.DagsterInstance, keys: list[str]) -> None:
    result = _definitions.resolve_job_def("nothing").execute_in_process(
        instance=instance,
        run_config=_QUIET,
        tags={
            ASSET_PARTITION_RANGE_START_TAG: keys[0],
            ASSET_PARTITION_RANGE_END_TAG: keys[-1],
        },
    )
    if not result.success:
        raise RuntimeError("The run of an asset that does nothing failed.")


def warm_run(instance: dg.DagsterInstance, count: int, stopwatch: Stopwatch) -> None:
    """A run over so many partitions, each with its event, once everything is imported."""
    keys = _keys(count)
    instance.add_dynamic_partitions("objects", [*keys, "another"])
    _run(instance, ["another"])
    with stopwatch:
        _run(instance, keys)


def first_run(instance: dg.DagsterInstance, count: int, stopwatch: Stopwatch) -> None:
    """The first run of a process."""
    keys = _keys(count)
    instance.add_dynamic_partitions("objects", keys)
    with stopwatch:
        _run(instance, keys)


def add_partitions(instance: dg.DagsterInstance, count: int, stopwatch: Stopwatch) -> None:
    """So many partitions added at once."""
    with stopwatch:
        instance.add_dynamic_partitions("objects", _keys(count))


def move_partitions(instance: dg.DagsterInstance, count: int, stopwatch: Stopwatch) -> None:
    """What a tick does for ten new objects among so many partitions, without a window."""
    keys = _keys(count)
    instance.add_dynamic_partitions("objects", keys)
    arriving = keys[:10]
    with stopwatch:
        existing = instance.get_dynamic_partitions("objects")
        for key in superseded_partitions(existing, arriving)[-len(arriving) :]:
            instance.delete_dynamic_partition("objects", key)
        instance.add_dynamic_partitions("objects", arriving)


def run_among_partitions(instance: dg.DagsterInstance, count: int, stopwatch: Stopwatch) -> None:
    """A run over one partition among so many."""
    keys = _keys(count)
    instance.add_dynamic_partitions("objects", keys)
    _run(instance, keys[:1])
    with stopwatch:
        _run(instance, keys[-1:])


def ask_among_runs(instance: dg.DagsterInstance, count: int, stopwatch: Stopwatch) -> None:
    """What a tick asks Dagster, among so many runs that are kept."""
    # Here, as `import_definitions` is to import it itself.
    from keycash_assets.sensors import BATCH_TAG, last_failure, unfinished_run  # noqa: PLC0415

    for number in range(count):
        instance.add_run(
            dg.DagsterRun(
                job_name="ingest_objects",
                run_id=str(uuid.UUID(int=number + 1)),
                status=dg.DagsterRunStatus.SUCCESS,
                tags={BATCH_TAG: str(number), "dagster/sensor_name": "s3_object_sensor"},
            )
        )
    with stopwatch:
        unfinished_run(instance)
        last_failure(instance)
        instance.get_run_records(dg.RunsFilter(tags={BATCH_TAG: "7"}), limit=20)
        instance.get_dynamic_partitions("objects")


def import_definitions(instance: dg.DagsterInstance, count: int, stopwatch: Stopwatch) -> None:
    """What each run's process imports before it begins, Dagster being imported already."""
    with stopwatch:
        from keycash_assets.definitions import build_definitions  # noqa: PLC0415  is measured
        from keycash_assets.settings import Settings  # noqa: PLC0415

        definitions = build_definitions(Settings.from_environment(os.environ))
        definitions.resolve_job_def("ingest_objects")


_MEASURES: Mapping[str, Callable[[dg.DagsterInstance, int, Stopwatch], None]] = {
    measure.__name__: measure
    for measure in (
        warm_run,
        first_run,
        add_partitions,
        move_partitions,
        run_among_partitions,
        ask_among_runs,
        import_definitions,
    )
}


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Measure one thing on a new instance with Dagster's own SQLite storage."""
    home = Path(options["folder"]) / "dagster"
    home.mkdir()
    count = int(options["count"])
    with dg.DagsterInstance.local_temp(str(home), {"telemetry": {"enabled": False}}) as instance:
        _MEASURES[options["measure"]](instance, count, stopwatch)
    return count


if __name__ == "__main__":
    run_contender(work)
