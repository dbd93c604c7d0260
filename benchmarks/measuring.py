"""How one run of a contender is measured: in a process of its own, by that process itself.

Rivals import this module in their own environment: standard library only.
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType


class Stopwatch:
    """Counts the seconds of the ``with`` blocks it is used for; what is outside is preparation."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._started = (0.0, 0.0)

    def __enter__(self) -> "Stopwatch":
        gc.collect()
        self._started = (time.perf_counter(), time.process_time())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        started, cpu_started = self._started
        self.seconds += time.perf_counter() - started
        self.cpu_seconds += time.process_time() - cpu_started


Work = Callable[[Mapping[str, str], Stopwatch], int]
"""What a contender does: takes its options and a stopwatch, returns how many units it handled."""


def run_contender(work: Work) -> None:
    """Do the work and write what was measured to the file named on the command line."""
    result, options = sys.argv[1:]
    stopwatch = Stopwatch()
    units = work(json.loads(options), stopwatch)
    Path(result).write_text(
        json.dumps(
            {
                "units": units,
                "seconds": stopwatch.seconds,
                "cpu_seconds": stopwatch.cpu_seconds,
                "peak_memory_bytes": peak_memory_bytes(),
            }
        )
    )
    # At the end of an interpreter obstore's threads abort it at times: that is no part of a race.
    os._exit(0)


def most_memory() -> str:
    """DuckDB's own default of its ``memory_limit``: what RESET says, but does not restore."""
    size_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size_bytes * 8 // 10 // 10**6}MB"


def peak_memory_bytes() -> int:
    """The most memory that this process ever held at once."""
    status = Path("/proc/self/status")
    if status.exists():
        # `getrusage` of a child process begins with the size of the parent that started it.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
