"""The tables and plots of the documents, made from the results so that they never drift."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.results import RESULTS, cpu_seconds, number
from keycash_assets.settings import REPOSITORY

DOCUMENTS = (REPOSITORY / "docs" / "performance.md", REPOSITORY / "docs" / "scale.md")
IMAGES = REPOSITORY / "docs" / "images"

_GENERATED = re.compile(r"(<!-- (results|targets)(?::(\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)
_NOT_MEASURED = "*Not measured yet: `make bench` measures it.*\n"

_COLOURS = {"floor": "#9aa0a6", "ours": "#1a73e8", "rival": "#e8710a", "part": "#7baaf7"}
_ROW = 26
_LABELS = 400
_BARS = 400

Result = Mapping[str, Any]


def write_documents() -> list[Path]:
    """Write the generated parts of the documents, and the plots.

    Returns:
        The files that were written.
    """
    results = read_results()
    written = []
    for document in DOCUMENTS:
        document.write_text(rendered(document.read_text("utf-8"), results), "utf-8")
        written.append(document)
    for race, result in results.items():
        plot = IMAGES / f"performance-{race}.svg"
        plot.write_text(bars(_plotted(result["figures"])), "utf-8")
        written.append(plot)
    return written


def read_results() -> dict[str, Result]:
    """The results of the full races, by race."""
    return {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))
    }


def rendered(text: str, results: Mapping[str, Result]) -> str:
    """A document with its generated parts made anew.

    ``<!-- results:small -->`` takes the tables and the plot of a race, ``<!-- targets -->`` all
    targets of all races; each goes up to ``<!-- end -->``.
    """

    def part(found: re.Match[str]) -> str:
        start, kind, race, end = found.groups()
        if kind == "targets":
            return start + _all_targets(results) + end
        return start + (_race(results[race]) if race in results else _NOT_MEASURED) + end

    return _GENERATED.sub(part, text)


def _all_targets(results: Mapping[str, Result]) -> str:
    rows = [
        (f"`{race}`", *_target(target))
        for race, result in results.items()
        for target in result["targets"]
    ]
    if not rows:
        return _NOT_MEASURED
    return _table(("race", "ratio or bound", "found", "wanted", ""), rows)


def _race(result: Result) -> str:
    machine, versions = result["machine"], result["versions"]
    parts = [
        f"{result['title']}. {_rounds(result['runs'])} on {machine['cores']} cores and "
        f"{machine['memory_gib']:g} GiB, {result['measured_on']}; DuckDB {versions['duckdb']}, "
        f"Dagster {versions['dagster']}, Python {versions['python']}.\n",
        f"![{result['title']}](images/performance-{result['race']}.svg)\n",
        _table(
            ("", "median", "least to greatest", "unit", "memory", "CPU s", "remark"),
            [_figure(figure) for figure in result["figures"]],
        ),
    ]
    if result["targets"]:
        targets = [_target(target) for target in result["targets"]]
        parts.append(_table(("ratio or bound", "found", "wanted", ""), targets))
    return "\n".join([*parts, *(f"{note}\n" for note in result["notes"])])


def _rounds(runs: int) -> str:
    return "One round" if runs == 1 else f"Median of {runs} rounds"


def _figure(figure: Mapping[str, Any]) -> tuple[str, ...]:
    memory = figure["peak_memory_bytes"]
    samples = figure["samples"]
    name = f"**{figure['name']}**" if figure["role"] == "ours" else figure["name"]
    spread = f"{number(min(samples))} to {number(max(samples))}" if len(samples) > 1 else ""
    return (
        f"{name} ({figure['role']})",
        number(figure["median"]),
        spread,
        figure["unit"],
        "" if memory is None else f"{memory / 1024**2:,.0f} MiB",
        cpu_seconds(figure.get("cpu_seconds", ()), figure.get("server_cpu_seconds", ())),
        figure["detail"],
    )


def _target(target: Mapping[str, Any]) -> tuple[str, ...]:
    met = "met" if target["met"] else "**not met**"
    return target["name"], number(target["value"]), target["wanted"], met


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _plotted(figures: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Without the parts, where there is a floor: beside them contenders may be too small to see."""
    if any(figure["role"] == "floor" for figure in figures):
        return [figure for figure in figures if figure["role"] != "part"]
    return figures


def bars(figures: Sequence[Mapping[str, Any]]) -> str:
    """The medians as bars, each as long as its share of the longest of its unit."""
    longest = {
        figure["unit"]: max(f["median"] for f in figures if f["unit"] == figure["unit"])
        for figure in figures
    }
    height = _ROW * len(figures) + 10
    width = _LABELS + _BARS + 140
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for row, figure in enumerate(figures):
        top = 5 + row * _ROW
        share = figure["median"] / longest[figure["unit"]] if longest[figure["unit"]] else 0.0
        length = max(1.0, _BARS * share)
        value = f"{number(figure['median'])} {figure['unit']}"
        lines += [
            f'<text x="{_LABELS - 8}" y="{top + 17}" text-anchor="end">{escape(figure["name"])}'
            "</text>",
            f'<rect x="{_LABELS}" y="{top + 4}" width="{length:.1f}" height="{_ROW - 8}" '
            f'fill="{_COLOURS[figure["role"]]}"/>',
            f'<text x="{_LABELS + length + 6:.1f}" y="{top + 17}">{escape(value)}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
