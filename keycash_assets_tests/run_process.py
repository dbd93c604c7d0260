"""Real Dagster runs in processes of their own, which can be killed at a chosen moment.

A server process imports everything once and forks for each run, so that a run starts in
milliseconds. The forked process says over a socket which moments it reaches, and can be told to
stop at one of them; nothing of this is in the product.
"""

import functools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Order:
    """A run that is to be made.

    Attributes:
        job: Name of the job; None for a tick of the sensor and the run that it asks for.
        assets: Materialize these alone, as a person does in the UI, instead of a job.
        config: The run's settings.
        moment: Where to say so and, if ``hold``, to stop; as in ``announced``.
        count: At which time that it gets there.
        hold: Whether to stop there, until ``RunProcess.release``.
        trace: Whether to say every moment.
        file_bytes: The largest file that the process may write; None for no limit.
    """

    job: str | None = None
    assets: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    moment: str | None = None
    count: int = 1
    hold: bool = False
    trace: bool = False
    file_bytes: int | None = None


class RunProcess:
    """A run in a process of its own.

    Args:
        connection: What it says comes from here, a line each; it ends with the process.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(WAIT_SECONDS)
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8")
        self.pid = int(self._lines.readline())
        self.trace: list[str] = []
        self.result: dict[str, Any] | None = None

    def wait_for_moment(self) -> bool:
        """Wait until it is at its moment; False if it ended without getting there."""
        return any(json.loads(line).get("at") for line in self._lines)

    def finish(self, wait_seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait until it has ended by itself: whether it succeeded, the first error, its memory.

        Args:
            wait_seconds: How long it may say nothing.

        Raises:
            RuntimeError: It ended without a result.
        """
        self._connection.settimeout(wait_seconds)
        for line in self._lines:
            said = json.loads(line)
            if "moment" in said:
                self.trace.append(said["moment"])
            if "success" in said:
                self.result = said
        if self.result is None:
            raise RuntimeError("the process of the run ended without a result")
        return self.result

    def release(self) -> None:
        """Have it go on from the moment at which it stopped."""
        os.kill(self.pid, signal.SIGUSR1)

    def kill(self) -> bool:
        """Kill it, whatever it does, and wait until it is gone; False if it had ended already."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return not any("success" in json.loads(line) for line in self._lines if line.endswith("\n"))


class RunProcesses:
    """The server, seen from the tests.

    Args:
        folder: For its socket.
    """

    def __init__(self, folder: Path) -> None:
        self._address = str(folder / "runs")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._address)
        self._listener.listen()
        self._listener.settimeout(WAIT_SECONDS)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "keycash_assets_tests.run_process", self._address],
            stdin=subprocess.PIPE,
            text=True,
        )

    def start(self, order: Order, environment: Mapping[str, str] = os.environ) -> RunProcess:
        """Start a run, with the variables of this test.

        Args:
            order: What to run.
            environment: Its variables.
        """
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps([asdict(order), dict(environment)]) + "\n")
        self._server.stdin.flush()
        connection, _ = self._listener.accept()
        return RunProcess(connection)

    def close(self) -> None:
        """End the server, and with it whatever it started."""
        self._server.communicate()
        self._listener.close()


class _Moments:
    """Says which moments the process reaches, and stops at the one that was asked for."""

    def __init__(self, order: Order, say: Callable[..., None]) -> None:
        self._order = order
        self._say = say
        self._reached: Counter[str] = Counter()
        self._one_at_a_time = threading.Lock()
        self._holds = order.hold
        signal.signal(signal.SIGUSR1, self._release)

    def _release(self, *_: object) -> None:
        self._holds = False

    def reached(self, moment: str) -> None:
        with self._one_at_a_time:
            self._reached[moment] += 1
            if self._order.trace:
                self._say(moment=moment)
            if moment == self._order.moment and self._reached[moment] == self._order.count:
                self._say(at=moment)
                while self._holds:
                    time.sleep(0.01)

    def watch(self, owner: Any, attribute: str, name: Callable[..., str]) -> None:
        """Say when a function is called and when it has returned.

        Args:
            owner: Module or class.
            attribute: Name of the function in it.
            name: What to call the moment, from the function's arguments.
        """
        original = getattr(owner, attribute)

        @functools.wraps(original)
        def watched(*arguments: Any, **named: Any) -> Any:
            called = name(*arguments, **named)
            self.reached(f"before {called}")
            result = original(*arguments, **named)
            self.reached(f"after {called}")
            return result

        self._replace(owner, attribute, original, watched)

    def watch_end(self, owner: Any, attribute: str, name: str) -> None:
        """Say when the body of a context manager is through, and when it has been left."""
        original = getattr(owner, attribute)

        @contextmanager
        def watched(*arguments: Any) -> Iterator[Any]:
            with original(*arguments) as value:
                yield value
                self.reached(f"before {name}")
            self.reached(f"after {name}")

        self._replace(owner, attribute, original, watched)

    @staticmethod
    def _replace(owner: Any, attribute: str, original: Any, watched: Any) -> None:
        setattr(owner, attribute, watched)
        for name, module in list(sys.modules.items()):
            if name.startswith("keycash_assets.") and getattr(module, attribute, None) is original:
                setattr(module, attribute, watched)


def _watch_everything(moments: _Moments) -> None:
    """The moments of a run: requests, parsing, each statement, commits, publishing, bookkeeping."""
    import dagster as dg
    import obstore

    from keycash_assets import block_copy, loading, sql, warehouse

    for function in ("list", "head", "get", "get_range"):
        moments.watch(obstore, function, lambda *_, f=function, **__: f"request {f}")
    moments.watch(loading, "read_parts", lambda *_, **__: "parsing")
    moments.watch(sql, "statement", lambda name: name)
    moments.watch_end(warehouse, "transaction", "commit")
    moments.watch(block_copy, "_differ", lambda *_: "copy of a block")
    moments.watch(os, "fsync", lambda *_: "flush of the copy")
    moments.watch(
        Path, "replace", lambda path, _: "rename" if "keycash.duckdb" in path.name else "a rename"
    )
    moments.watch(
        dg.DagsterInstance,
        "handle_new_event",
        lambda _, entry, **__: f"event {entry.dagster_event and entry.dagster_event_type}",
    )
    moments.watch(
        dg.DagsterInstance, "add_dynamic_partitions", lambda *_, **__: "making of partitions"
    )


def _run(order: Order, moments: _Moments) -> dict[str, Any]:
    from keycash_assets.bucket import bucket_of
    from keycash_assets.definitions import build_definitions
    from keycash_assets.settings import Settings
    from keycash_assets_tests.platform import Platform, dagster_instance

    settings = Settings.from_environment(os.environ)
    with dagster_instance(settings) as instance:
        definitions = build_definitions(settings)
        platform = Platform(settings, bucket_of(settings, os.environ), instance, definitions)
        _watch_everything(moments)
        if order.assets:
            result = platform.materialize(order.assets)
        elif order.job:
            result = platform.run(order.job, config=dict(order.config))
        else:
            ticked = platform.tick()
            if ticked is None:
                return {"success": True, "error": "the sensor asked for nothing"}
            result = ticked
        failures = [
            event.step_failure_data.error
            for event in result.all_events
            if event.is_step_failure and event.step_failure_data.error
        ]
        error = (failures[0].cause or failures[0]).message if failures else None
        return {"success": result.success, "error": error}


def _serve(address: str) -> None:
    """Fork for each line of standard input, until it ends."""
    import keycash_assets_tests.platform  # noqa: F401  imported once, for all runs

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            _serve_one(address, line)
    os.killpg(0, signal.SIGKILL)


def _serve_one(address: str, line: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    values, environment = json.loads(line)
    order = Order(**values)
    os.environ.clear()
    os.environ.update(environment)
    if order.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_bytes, resource.RLIM_INFINITY))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    connection.sendall(f"{os.getpid()}\n".encode())

    def say(**what: object) -> None:
        connection.sendall(json.dumps(what).encode() + b"\n")

    started = time.monotonic()
    try:
        outcome = _run(order, _Moments(order, say))
    except BaseException as error:  # noqa: BLE001  told to the test, which fails
        outcome = {"success": False, "error": repr(error)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    say(**outcome, seconds=time.monotonic() - started, peak_memory_bytes=peak)
    os._exit(0)


if __name__ == "__main__":
    os.setpgrp()
    _serve(sys.argv[1])
