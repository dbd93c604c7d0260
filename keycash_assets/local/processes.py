"""Starting, watching and stopping child processes, so that nothing is ever left behind."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

from keycash_assets.errors import ServerError

LOG_LINES_SHOWN = 20
STOP_SECONDS = 8.0
"""How long a process may take to stop before it is killed; all of them stop at the same time."""

_PR_SET_PDEATHSIG = 1


class Stopped(KeyboardInterrupt):
    """A person or the system asked the platform to stop."""


class ManagedProcess:
    """A child process with a group and a log of its own.

    On Linux the child dies with the thread that started it: start it from the main thread.

    Args:
        name: What people call it.
        command: Program and arguments; no secrets, as others can read them.
        environment: The child's whole environment.
        log_path: File that its output is appended to.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log_path: Path
    ) -> None:
        self.name = name
        self.log_path = log_path
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own commands
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  one system call
            )

    @property
    def pid(self) -> int:
        """Its process id, which is that of its group as well."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def signal_group(self, number: int) -> None:
        """Send a signal to it and all that it started, if any of them is left."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def group_is_alive(self) -> bool:
        """Whether it, or anything that it started, still runs."""
        self._process.poll()
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def last_log_lines(self) -> str:
        """The end of its log, for an error message."""
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """Runs processes until one ends or somebody asks to stop; then stops them all.

    Used as a context manager in the main thread. SIGINT and SIGTERM raise ``Stopped`` inside, even
    where a shell started us with SIGINT ignored.
    """

    def __init__(self) -> None:
        self._processes: list[ManagedProcess] = []
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Supervisor":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, _raise_stopped)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A second Ctrl-C must not interrupt the stopping.
        for number in self._previous:
            signal.signal(number, signal.SIG_IGN)
        stop(self._processes)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log_path: Path
    ) -> ManagedProcess:
        """Start a process that is stopped with the others."""
        process = ManagedProcess(name, command, environment, log_path)
        self._processes.append(process)
        return process

    def watch(self) -> None:
        """Wait until a process ends by itself, or somebody asks to stop.

        Raises:
            ServerError: A process ended by itself.
            Stopped: Somebody asked to stop.
        """
        while True:
            for process in self._processes:
                raise_if_ended(process)
            time.sleep(0.2)


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)


def stop(processes: Sequence[ManagedProcess]) -> None:
    """Ask all processes to stop, wait, and kill what is left of them."""
    for process in reversed(processes):
        process.signal_group(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and any(p.group_is_alive() for p in processes):
        time.sleep(0.05)
    for process in processes:
        process.signal_group(signal.SIGKILL)
    while any(p.group_is_alive() for p in processes):
        time.sleep(0.05)


def raise_if_ended(process: ManagedProcess) -> None:
    """Raise if a process that is to run has ended.

    Raises:
        ServerError: It has; the message shows the end of its log.
    """
    if process.exit_code is not None:
        raise ServerError(
            f"{process.name} ended by itself (exit code {process.exit_code}). The end of its log, "
            f"{process.log_path}:\n{process.last_log_lines()}"
        )


def wait_until(
    is_ready: Callable[[], bool], processes: Sequence[ManagedProcess], timeout_seconds: float
) -> None:
    """Wait until a server answers.

    Args:
        is_ready: Asks it.
        processes: Those that must keep running meanwhile, the awaited one last.
        timeout_seconds: How long to wait.

    Raises:
        ServerError: A process ended, or the time is over.
    """
    deadline = time.monotonic() + timeout_seconds
    while not is_ready():
        for process in processes:
            raise_if_ended(process)
        if time.monotonic() > deadline:
            awaited = processes[-1]
            raise ServerError(
                f"{awaited.name} was not ready within {timeout_seconds:.0f} s. The end of its log, "
                f"{awaited.log_path}:\n{awaited.last_log_lines()}"
            )
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def preferred_port(port: int) -> int:
    """This port of 127.0.0.1, or another one if somebody uses it."""
    return port if is_free(port) else free_ports(1)[0]


def is_free(port: int) -> bool:
    """Whether a server could listen at this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: connections that linger from before do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(url: str) -> bool:
    """Whether an HTTP server answers at this address with success."""
    import urllib.request  # noqa: PLC0415  only needed here

    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  our own servers
            return bool(200 <= response.status < 300)
    except OSError:
        return False
