"""Where the races run: a folder of their own, a local S3 server, and processes to run them in."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from benchmarks.environments import OURS
from benchmarks.results import Figure
from keycash_assets.bucket import Bucket
from keycash_assets.commands.console import console
from keycash_assets.errors import KeycashError
from keycash_assets.local.object_store_server import BUCKET, LocalObjectStoreServer
from keycash_assets.local.processes import ManagedProcess, Supervisor, stop
from keycash_assets.settings import REPOSITORY


class BenchmarkError(KeycashError):
    """A race could not be run to its end."""


@dataclass(frozen=True)
class Contender:
    """Who takes part in a race: a module that ``run_contender`` runs in a process of its own.

    Attributes:
        name: What people call it.
        role: ``floor``, ``ours`` or ``rival``.
        module: The module.
        options: What it is to do; it is given a ``folder`` to write to besides.
        units: How many units it has to handle: fewer, and the race is void.
        interpreter: The environment it runs in.
        environment: Variables it finds.
        detail: What a reader has to know about it.
    """

    name: str
    role: str
    module: str
    options: Mapping[str, str]
    units: int
    environment: Mapping[str, str]
    interpreter: Path = OURS
    detail: str = ""


class Bench:
    """One call of the benchmarks.

    Args:
        home: Folder of the object store, cached data and scratch; may grow to some gigabytes.
        runs: How often each contender runs.
        supervisor: Stops the servers.
        quick: Whether everything is made small, to see that it works.
        objects: How many objects a race over objects takes, if not as many as it should.
    """

    def __init__(
        self,
        home: Path,
        runs: int,
        supervisor: Supervisor,
        *,
        quick: bool = False,
        objects: int | None = None,
    ) -> None:
        self.home = home
        self.runs = runs
        self.quick = quick
        self._objects = objects
        self._supervisor = supervisor
        self._servers = ExitStack()
        self._server: ManagedProcess | None = None
        home.mkdir(parents=True, exist_ok=True)

    @cached_property
    def store(self) -> dict[str, str]:
        """The variables by which the local S3 server is reached; it is started at the first use."""
        server = LocalObjectStoreServer(self.home / "object_store")
        self._server = self._servers.enter_context(server.start(self._supervisor))
        lines = (server.home / "connection.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def objects(self, full: int, quick: int) -> int:
        """How many objects to take: as many as somebody asked for, or as the scale has."""
        return self._objects or (quick if self.quick else full)

    def environment(self, prefix: str) -> dict[str, str]:
        """The environment of a process that works on the objects under a prefix."""
        return {
            **bare_environment(),
            **self.store,
            "KEYCASH_OBJECTS_URL": f"s3://{BUCKET}/{prefix}",
        }

    def bucket(self, prefix: str) -> Bucket:
        """The platform's own view of the objects under a prefix."""
        environment = self.environment(prefix)
        return Bucket(environment["KEYCASH_OBJECTS_URL"], environment)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A new folder that is gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="scratch-", dir=self.home))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def race(self, contenders: Sequence[Contender], unit: str) -> list[Figure]:
        """Run the contenders in turn, round after round, and collect their units a second.

        Raises:
            BenchmarkError: A contender failed, or did not do all of its work.
        """
        return [
            Figure(
                name=contender.name,
                unit=unit,
                samples=tuple(run["units"] / run["seconds"] for run in runs),
                role=contender.role,
                detail=contender.detail,
                peak_memory_bytes=max(run["peak_memory_bytes"] for run in runs),
                cpu_seconds=tuple(run["cpu_seconds"] for run in runs),
                server_cpu_seconds=tuple(run["server_cpu_seconds"] for run in runs),
            )
            for contender, runs in self._measure(contenders)
        ]

    def time(self, contenders: Sequence[Contender]) -> list[Figure]:
        """Run the contenders in turn, round after round, and collect the seconds they took.

        Raises:
            BenchmarkError: A contender failed, or did not do all of its work.
        """
        return [
            Figure(
                name=contender.name,
                unit="s",
                samples=tuple(run["seconds"] for run in runs),
                role=contender.role,
                detail=contender.detail,
                peak_memory_bytes=max(run["peak_memory_bytes"] for run in runs),
                cpu_seconds=tuple(run["cpu_seconds"] for run in runs),
                server_cpu_seconds=tuple(run["server_cpu_seconds"] for run in runs),
            )
            for contender, runs in self._measure(contenders)
        ]

    def say(self, text: str) -> None:
        """Tell a person what is going on."""
        console.print(f"[dim]{time.strftime('%H:%M:%S')} {text}[/]")

    def _measure(
        self, contenders: Sequence[Contender]
    ) -> list[tuple[Contender, list[dict[str, Any]]]]:
        """Every second round goes the other way round, so that nobody is always first."""
        measured: list[list[dict[str, Any]]] = [[] for _ in contenders]
        numbered = list(zip(contenders, measured, strict=True))
        for number in range(self.runs):
            for contender, runs in numbered[:: -1 if number % 2 else 1]:
                self.say(f"round {number + 1} of {self.runs}: {contender.name}")
                runs.append(self._run(contender))
        return numbered

    def _run(self, contender: Contender) -> dict[str, Any]:
        if not contender.interpreter.exists():
            raise BenchmarkError(f"{contender.name} has no environment: `make bench` makes it.")
        with self.scratch() as folder:
            result = folder / "result.json"
            options = json.dumps({**contender.options, "folder": str(folder)})
            command = [str(contender.interpreter), "-m", contender.module, str(result), options]
            environment = {**contender.environment, "PYTHONPATH": str(REPOSITORY)}
            log = folder / "contender.log"
            server_cpu_seconds = self._server_cpu_seconds()
            process = ManagedProcess(contender.name, command, environment, log)
            try:
                while process.exit_code is None:
                    time.sleep(0.02)
            finally:
                stop([process])
            if process.exit_code != 0 or not result.exists():
                raise BenchmarkError(
                    f"{contender.name} failed with exit code {process.exit_code}:\n"
                    f"{process.last_log_lines()}"
                )
            measured: dict[str, Any] = json.loads(result.read_text())
            measured["server_cpu_seconds"] = self._server_cpu_seconds() - server_cpu_seconds
        if measured["units"] != contender.units:
            raise BenchmarkError(
                f"{contender.name} handled {measured['units']:,} of {contender.units:,} units: "
                "its time says nothing."
            )
        return measured

    def _server_cpu_seconds(self) -> float:
        """CPU time that the object store has taken so far, 0 if it does not run."""
        if self._server is None:
            return 0.0
        times = psutil.Process(self._server.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        """Give up the object store; the supervisor stops it."""
        self._servers.close()


def bare_environment() -> dict[str, str]:
    """The environment without what would lead a contender to somebody's real data."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEYCASH_", "AWS_", "DAGSTER_", "MOTHERDUCK_"))
    }
