"""How results look in the Dagster UI: tables, numbers, plots. Nothing here decides anything."""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from keycash_assets.loading import LoadSummary
from keycash_assets.sql.columns import columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

PREVIEW_ROWS = 10
_CELL_CHARACTERS = 80


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose cells cannot be taken for Markdown or HTML, whatever files hold."""
    lines = [_line(names), _line(["---"] * len(names), escape=False)]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _line(cells: Sequence[object], *, escape: bool = True) -> str:
    texts = (_cell(cell) if escape else str(cell) for cell in cells)
    return f"| {' | '.join(texts)} |"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if len(text) > _CELL_CHARACTERS:
        text = text[: _CELL_CHARACTERS - 1] + "…"
    text = html.escape(" ".join(text.split()))
    return "".join(f"\\{letter}" if letter in "\\`*_[]|#~!" else letter for letter in text)


def query_preview(connection: "Connection", query: str) -> dg.MarkdownMetadataValue:
    """The rows of a query as a Markdown table."""
    result = connection.execute(query)
    names = [column[0] for column in result.description or []]
    return dg.MetadataValue.md(markdown_table(names, result.fetchall()))


def table_metadata(connection: "Connection", table: str, order: str) -> dict[str, Any]:
    """Row count, preview and column schema of one of our own tables.

    Args:
        connection: The warehouse.
        table: Its name.
        order: What to order the preview by.
    """
    rows = connection.table(table).count("*").fetchall()[0][0]
    preview = f"FROM {table} ORDER BY {order} LIMIT {PREVIEW_ROWS}"  # both are our own constants
    return {
        "dagster/row_count": dg.MetadataValue.int(rows),
        "preview": query_preview(connection, preview),
    }


def column_schema(table: str) -> dict[str, Any]:
    """The columns of a table with their types and descriptions, as static metadata."""
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name, type=column.type or "VARCHAR", description=column.description
                )
                for column in columns(table)
            ]
        ),
        "dagster/table_name": f"main.{table}",
    }


def load_metadata(summary: LoadSummary) -> Mapping[str, Any]:
    """What a load did, for a person."""
    return {
        "kind": summary.kind,
        "objects loaded": summary.objects_loaded,
        "objects unchanged": summary.objects_unchanged,
        "objects quarantined": summary.objects_quarantined,
        "objects deferred": summary.objects_deferred,
        "objects deleted": summary.objects_deleted,
        "records loaded": summary.records,
        "bytes read": summary.size_bytes,
        "seconds": round(summary.seconds, 3),
    }


def daily_plot(days: Sequence[tuple[object, float]]) -> dg.MarkdownMetadataValue:
    """A bar chart of the daily series as an SVG that needs nothing else to be seen."""
    width, height, left, bottom = 760, 260, 70, 60
    top = max((value for _, value in days), default=0.0) or 1.0
    step = (width - left) / max(len(days), 1)
    bars = "".join(
        f'<rect x="{left + step * number + step * 0.1:.1f}" '
        f'y="{(height - bottom) * (1 - value / top) + 10:.1f}" width="{step * 0.8:.1f}" '
        f'height="{(height - bottom) * value / top:.1f}" fill="#2a6f97">'
        f"<title>{day}: R$ {value:,.2f}</title></rect>"
        for number, (day, value) in enumerate(days)
    )
    every = max(1, len(days) // 10)
    labels = "".join(
        f'<text x="{left + step * (number + 0.5):.1f}" y="{height - bottom + 28}" '
        f'text-anchor="middle">{str(day)[5:]}</text>'
        for number, (day, _) in enumerate(days)
        if number % every == 0
    )
    scale = "".join(
        f'<text x="{left - 8}" y="{(height - bottom) * (1 - part) + 14:.1f}" '
        f'text-anchor="end">{top * part / 1e6:.1f} M</text>'
        for part in (0.0, 0.5, 1.0)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="11" fill="#444"><rect width="{width}" '
        f'height="{height}" fill="white"/>{bars}{labels}{scale}<text x="{left}" '
        f'y="{height - 8}">credito_solicitado per day, BRL</text></svg>'
    )
    import base64  # noqa: PLC0415  only needed here

    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![credit per day](data:image/svg+xml;base64,{encoded})")
