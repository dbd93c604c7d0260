"""How long Dagster remembers runs: it keeps them for ever by itself, and the disk fills up."""

from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

RUNS_KEPT = 2_000
"""The newest runs that Dagster remembers.

A run takes 0.15 to 0.8 MB, so this is about half a gigabyte, while a run a minute kept for ever
would be more than 100 GB a year. What was loaded when stands in the warehouse's ``load_history``
and ``object_ledger``, which keep everything.
"""

_FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]


@dg.op
def delete_runs(context: dg.OpExecutionContext) -> None:
    """Deletes what Dagster remembers of all but the newest runs, with their logs."""
    finished = dg.RunsFilter(statuses=_FINISHED)
    newest = context.instance.get_run_ids(finished, limit=RUNS_KEPT)
    if len(newest) < RUNS_KEPT:
        context.log.info(f"{len(newest):,} runs are kept, of {RUNS_KEPT:,} at most.")
        return
    old = context.instance.get_run_ids(finished, cursor=newest[-1])
    for run_id in old:
        _forget(context.instance, run_id)
    context.log.info(f"{len(old):,} runs deleted, the newest {RUNS_KEPT:,} kept.")


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    if isinstance(storage := instance.event_log_storage, SqliteEventLogStorage):
        # It keeps a file for each run, and only empties it.
        file = Path(storage.path_for_shard(run_id))
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink(missing_ok=True)


@dg.job(
    executor_def=dg.in_process_executor,
    description="Deletes what Dagster remembers of old runs; the warehouse's own history stays.",
)
def delete_old_runs() -> None:
    """The newest 2,000 runs stay."""
    delete_runs()


daily_retention = dg.ScheduleDefinition(
    name="daily_retention",
    job=delete_old_runs,
    cron_schedule="30 5 * * *",
    execution_timezone="America/Sao_Paulo",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Deletes old runs, every morning at half past five in São Paulo.",
)
