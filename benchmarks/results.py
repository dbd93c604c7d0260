"""What a race found: its figures and targets, printed as a table and written as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from benchmarks.environments import rival_versions, versions
from keycash_assets.commands.console import console
from keycash_assets.settings import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results"


@dataclass(frozen=True)
class Figure:
    """Something measured several times.

    Attributes:
        name: What was measured.
        unit: Unit of the samples, as in ``objects/s``.
        samples: One value a round, in the order of the rounds.
        role: ``floor``, ``ours``, ``rival`` or ``part`` (of ours).
        detail: What a reader has to know about it.
        peak_memory_bytes: The most memory that one of the runs held; None where not measured.
        cpu_seconds: CPU time that the contender's own process took in each round; empty where not
            measured.
        server_cpu_seconds: CPU time of the object store in the same rounds.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    role: str = "ours"
    detail: str = ""
    peak_memory_bytes: int | None = None
    cpu_seconds: tuple[float, ...] = ()
    server_cpu_seconds: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    def percentile(self, share: float) -> float:
        """The sample below which this share of the samples lies (nearest rank)."""
        ordered = sorted(self.samples)
        return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered) + 0.5) - 1))]


@dataclass(frozen=True)
class Target:
    """What a figure or a ratio is to be.

    Attributes:
        name: What is compared, as in ``ours / floor``.
        value: What was found.
        bound: What it is to be at least (or at most).
        at_most: Whether the bound is an upper one.
    """

    name: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the value keeps to the bound."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    @property
    def wanted(self) -> str:
        """The bound as people write it."""
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"


@dataclass(frozen=True)
class RaceResult:
    """All that a race found.

    Attributes:
        race: Its name on the command line.
        title: What it is about, in a sentence.
        figures: What was measured.
        targets: What was to be reached.
        notes: What a reader has to know to read the figures.
    """

    race: str
    title: str
    figures: Sequence[Figure]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()


def ratio(one: Figure, other: Figure) -> float:
    """How many times the other: the median over the rounds, in which both met the same machine."""
    pairs = zip(one.samples, other.samples, strict=True)
    return statistics.median(mine / its for mine, its in pairs)


def machine() -> dict[str, object]:
    """The size of the machine, and nothing that names it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": cores,
        "memory_gib": round(memory / 1024**3, 1),
        "architecture": platform.machine(),
        "system": platform.system(),
    }


def write(result: RaceResult, folder: Path, scale: str, runs: int) -> Path:
    """Write a result as JSON: ``<race>.json`` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.race}.json"
    has_rivals = any(figure.role == "rival" for figure in result.figures)
    content = {
        "race": result.race,
        "title": result.title,
        "scale": scale,
        "runs": runs,
        "measured_on": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": machine(),
        "versions": versions(),
        "versions_of_rivals": rival_versions() if has_rivals else {},
        "figures": [
            {
                **asdict(figure),
                "samples": [_rounded(sample) for sample in figure.samples],
                "cpu_seconds": [_rounded(seconds) for seconds in figure.cpu_seconds],
                "server_cpu_seconds": [_rounded(s) for s in figure.server_cpu_seconds],
                "median": _rounded(figure.median),
            }
            for figure in result.figures
        ],
        "targets": [
            {
                "name": target.name,
                "value": _rounded(target.value),
                "wanted": target.wanted,
                "met": target.met,
            }
            for target in result.targets
        ],
        "notes": list(result.notes),
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def print_result(result: RaceResult) -> None:
    """Print the figures and the targets of a race."""
    table = Table(title=escape(result.title), title_justify="left", title_style="bold")
    table.add_column("")
    for column in ("median", "least", "greatest", "memory", "CPU s"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    table.add_column("remark")
    for figure in result.figures:
        memory = figure.peak_memory_bytes
        table.add_row(
            escape(f"{figure.name} ({figure.role})"),
            number(figure.median),
            number(min(figure.samples)),
            number(max(figure.samples)),
            "" if memory is None else f"{memory / 1024**2:,.0f} MiB",
            cpu_seconds(figure.cpu_seconds, figure.server_cpu_seconds),
            figure.unit,
            escape(figure.detail),
        )
    console.print(table)
    for target in result.targets:
        mark = "[green]met[/]" if target.met else "[red]not met[/]"
        console.print(
            f"  {escape(target.name)}: [bold]{number(target.value)}[/], "
            f"wanted {target.wanted}: {mark}"
        )
    for note in result.notes:
        console.print(f"  {escape(note)}")


def cpu_seconds(own: Sequence[float], server: Sequence[float]) -> str:
    """The medians of a contender's own CPU time and, after a plus sign, of the object store's."""
    return " + ".join(
        number(statistics.median(samples)) for samples in (own, server) if any(samples)
    )


def number(value: float) -> str:
    """A number with as many digits as it is good for."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
