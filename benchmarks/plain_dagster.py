"""Running the rival that is a Dagster project: started, given files, watched, stopped."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.bench import Bench, BenchmarkError
from benchmarks.documents import seed
from benchmarks.environments import RIVALS
from keycash_assets.local.object_store_server import BUCKET
from keycash_assets.local.processes import ManagedProcess, free_ports, stop
from keycash_assets.settings import REPOSITORY
from keycash_assets_tests.living_platform import processes_of, wait_for

START_SECONDS = 180

_FINISHED = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)


@dataclass(frozen=True)
class PlainDagster:
    """The rival while it runs.

    Attributes:
        bench: Where.
        prefix: Where it looks for files.
        instance: Its Dagster instance.
    """

    bench: Bench
    prefix: str
    instance: dg.DagsterInstance

    @classmethod
    @contextmanager
    def running(cls, bench: Bench, home: Path, prefix: str) -> "Iterator[PlainDagster]":
        """Run ``dagster dev`` on the project, with nothing set, until its sensor has ticked."""
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        environment = {
            **bench.environment(prefix),
            "PYTHONPATH": str(REPOSITORY),
            "DAGSTER_HOME": str(home),
            # By this its processes are found.
            "KEYCASH_HOME": str(home),
            "RIVAL_BUCKET": BUCKET,
            "RIVAL_PREFIX": f"{prefix}/",
            "RIVAL_DATABASE": str(home / "rival.duckdb"),
        }
        command = [
            str(RIVALS.with_name("dagster")),
            *("dev", "--module-name", "benchmarks.rivals.plain_dagster.definitions"),
            *("--host", "127.0.0.1", "--port", str(free_ports(1)[0])),
        ]
        process = ManagedProcess("The rival's Dagster", command, environment, home / "dagster.log")
        try:
            with dg.DagsterInstance.from_config(str(home)) as instance:
                rival = cls(bench, prefix, instance)
                wait_for(rival._has_ticked, "the rival's first tick", START_SECONDS)
                yield rival
        finally:
            stop([process])
            for pid in processes_of(home):
                os.kill(pid, signal.SIGKILL)

    def load(self, objects: int, records: int, limit: float) -> tuple[float, int]:
        """Put so many files, and wait until the last of their runs has ended, or for so long.

        Args:
            objects: How many files.
            records: Records in each of them.
            limit: Seconds after which it is stopped: it takes at least so long.

        Returns:
            The seconds that it took, and how many files it had loaded then.

        Raises:
            BenchmarkError: A run failed.
        """
        started = time.time()
        seed(self.bench, self.prefix, objects, records, clients=objects * records)
        while self._runs_finished() < objects and time.time() < started + limit:
            time.sleep(0.5)
        ended = [record for record in self.instance.get_run_records() if record.end_time]
        states = Counter(record.dagster_run.status.value for record in ended)
        if not set(states) <= {"SUCCESS"}:
            raise BenchmarkError(f"The rival did not load everything: {dict(states)}")
        if len(ended) < objects:
            self.bench.say(f"stopped after {limit:.0f} s: {len(ended)} of {objects} files loaded")
            return limit, len(ended)
        return max(record.end_time or 0 for record in ended) - started, len(ended)

    def _has_ticked(self) -> bool:
        return any(
            self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            for state in self.instance.all_instigator_state()
        )

    def _runs_finished(self) -> int:
        return self.instance.get_runs_count(dg.RunsFilter(statuses=list(_FINISHED)))
