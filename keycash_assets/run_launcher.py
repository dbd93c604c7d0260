"""Dagster's run launcher, which also knows whether the process of a run still lives.

Without that a run whose process was killed together with the platform, or a killed `keycash run`,
would count as running for ever: the sensor waits for it, and the pool has no place for another.
"""

import time
from collections.abc import Iterator

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

PROCESS_KNOWN_SECONDS = 60.0
"""A run says within moments of its start in which process it runs; by then it has."""

_CLOCK_SECONDS = 2.0


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """The default launcher, for a `run_monitoring` that ends runs whose process is gone.

    All steps of a run execute in one process, on this machine, and Dagster's event log names it:
    for runs that the daemon launches as for those of `keycash run` and `keycash replay`.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: ``check_run_worker_health`` is asked about every run that counts as running."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say whether the process of a run that counts as running is there."""
        pid = None
        for pid, named_at in self._processes(run):
            if _is_alive(pid, named_at):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
        if pid is not None:
            return CheckRunHealthResult(
                WorkerStatus.NOT_FOUND,
                f"Its process {pid} is gone: it was killed. Nothing of an unfinished load is kept; "
                "what it was to load is loaded by the next run",
            )
        record = self._instance.get_run_record_by_id(run.run_id)
        if record and time.time() - (record.start_time or 0) < PROCESS_KNOWN_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "It has no process")

    def _processes(self, run: dg.DagsterRun) -> Iterator[tuple[int, float]]:
        """Each process that the log names, with the moment at which it does (Unix time)."""
        for entry in self._instance.all_logs(run.run_id, dg.DagsterEventType.ENGINE_EVENT):
            metadata = entry.get_dagster_event().engine_event_data.metadata
            if "pid" in metadata:
                yield int(str(metadata["pid"].value)), entry.timestamp


def _is_alive(pid: int, named_at: float) -> bool:
    """Whether a process is the one that had this id then, and not a later one of the same id."""
    import psutil  # noqa: PLC0415  only needed here

    try:
        process = psutil.Process(pid)
        return bool(
            process.create_time() <= named_at + _CLOCK_SECONDS
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
