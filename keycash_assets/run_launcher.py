"""Dagster's run launcher here: a run is a process forked from one that has imported everything.

Dagster's own launcher starts a new Python for every run, which imports for seconds before it does
anything. It also does not know whether the process of a run still lives: a run whose process was
killed together with the platform, or a killed `keycash run`, would count as running for ever, the
sensor would wait for it, and the pool would have no place for another.
"""

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import dagster as dg
from dagster import _check as check
from dagster._core.launcher.base import (
    CheckRunHealthResult,
    LaunchRunContext,
    RunLauncher,
    WorkerStatus,
)
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

IMPORTED_BEFORE = [
    "dagster._cli.api",
    "dagster._daemon.cli",
    "dagster._core.instance.factory",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "upath.implementations.local",
    "duckdb",
    "obstore",
    "pandas",  # pyarrow imports it as soon as it makes an array of a list
    "pyarrow",
    "keycash_assets.bucket",
    "keycash_assets.definitions",
    "keycash_assets.loading",
    "keycash_assets.presentation",
]
"""What the fork server imports, once, so that no run has to."""

PROCESS_KNOWN_SECONDS = 60.0
"""A run says within moments of its start in which process it runs; by then it has."""

_CLOCK_SECONDS = 2.0


class ForkingRunLauncher(RunLauncher, ConfigurableClass):
    """Forks runs, ends them on request, and tells ``run_monitoring`` whose process is gone.

    All steps of a run execute in one process, on this machine, and Dagster's event log names it:
    for runs that the daemon launches as for those of `keycash run` and `keycash replay`. The fork
    server starts with the first run, and it and all runs end with a daemon that is asked to end. It
    keeps to the code that it began with: after a change of the code start the daemon anew.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Dagster leaves it untyped
        self._inst_data = inst_data
        # Elsewhere the system's own libraries do not survive a fork.
        method = "forkserver" if sys.platform == "linux" else "spawn"
        self._context: Any = multiprocessing.get_context(method)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Where in ``dagster.yaml`` it is set."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """It has no settings."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> "ForkingRunLauncher":
        """As ``dagster.yaml`` sets it."""
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the process of a run, which reports all else itself."""
        run = context.dagster_run
        arguments = ExecuteRunArgs(
            job_origin=check.not_none(run.job_code_origin),
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
        )
        self._context.set_forkserver_preload(IMPORTED_BEFORE)
        self._context.Process(
            target=execute_run, args=(serialize_value(arguments),), daemon=True
        ).start()

    def terminate(self, run_id: str) -> bool:
        """Ask the process of a run to end: it reports the run as canceled.

        Returns:
            Whether there was one; without, nothing is changed.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        for pid, named_at in self._processes(run):
            if _is_alive(pid, named_at):
                self._instance.report_run_canceling(run)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
                return True
        return False

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


def execute_run(arguments: str) -> None:
    """Execute a run in this process, as Dagster's other launchers do.

    Args:
        arguments: Dagster's serialized ``ExecuteRunArgs``.
    """
    from dagster._cli.api import execute_run_command  # noqa: PLC0415

    # What was imported is no garbage: to go through it once takes a tenth of a run's time.
    gc.freeze()
    execute_run_command.main([arguments], standalone_mode=False)


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
