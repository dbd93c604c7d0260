"""Race 8: from a fresh clone to a daily table, and to a healthy platform."""

import signal
import subprocess
import time
from pathlib import Path

from benchmarks.bench import Bench, BenchmarkError, bare_environment
from benchmarks.results import Figure, RaceResult
from keycash_assets.local.processes import ManagedProcess, stop
from keycash_assets.settings import REPOSITORY
from keycash_assets_tests.living_platform import processes_of

LONGEST_SECONDS = 900.0

_IS_UP = "The platform is up"


def race(bench: Bench) -> RaceResult:
    """Start in a fresh clone, with nothing installed, and then again."""
    names = (
        "make run, cold",
        "make run, warm",
        "make up to healthy, cold",
        "make up to healthy, warm",
    )
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(bench.runs):
        with bench.scratch() as folder:
            clone = folder / "clone"
            subprocess.run(
                ["git", "clone", "--quiet", str(REPOSITORY), str(clone)],
                check=True,
            )
            for name in names:
                bench.say(f"round {number + 1} of {bench.runs}: {name}")
                start = _up if name.startswith("make up") else _run
                samples[name].append(start(clone, folder / "home"))
    details = {
        "make run, cold": "fresh clone; packages from uv's cache where it has them",
        "make up to healthy, cold": "after make run: installs Superset, makes its database",
    }
    return RaceResult(
        "startup",
        "Start-up, from a fresh clone",
        [
            Figure(name, "s", tuple(values), "ours", details.get(name, ""))
            for name, values in samples.items()
        ],
        notes=["Cold installs what is missing: its time is that of the package index as well."],
    )


def _run(clone: Path, home: Path) -> float:
    process, started = _make(clone, home, "run")
    try:
        while process.exit_code is None:
            _wait(process, started)
    finally:
        stop([process])
    if process.exit_code != 0:
        raise BenchmarkError(f"make run failed:\n{process.last_log_lines()}")
    return time.monotonic() - started


def _up(clone: Path, home: Path) -> float:
    process, started = _make(clone, home, "up")
    try:
        while _IS_UP not in process.log_path.read_text("utf-8", "replace"):
            if process.exit_code is not None:
                raise BenchmarkError(f"make up failed:\n{process.last_log_lines()}")
            _wait(process, started)
        seconds = time.monotonic() - started
        process.signal_group(signal.SIGTERM)
        while process.exit_code is None or processes_of(home):
            _wait(process, started)
    finally:
        stop([process])
    process.log_path.unlink()
    return seconds


def _make(clone: Path, home: Path, target: str) -> tuple[ManagedProcess, float]:
    environment = {**bare_environment(), "KEYCASH_HOME": str(home)}
    command = ["make", "--directory", str(clone), target]
    log = clone.parent / f"{target}.log"
    return ManagedProcess(f"make {target}", command, environment, log), time.monotonic()


def _wait(process: ManagedProcess, started: float) -> None:
    if time.monotonic() - started > LONGEST_SECONDS:
        raise BenchmarkError(f"{process.name}: not within {LONGEST_SECONDS:.0f} s")
    time.sleep(0.05)
