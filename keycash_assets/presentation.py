"""How results look in the Dagster UI: tables, numbers, plots. Nothing here decides anything."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dagster as dg

from keycash_assets.loading import LoadSummary
from keycash_assets.sql.columns import columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

PREVIEW_ROWS = 10
PLOTTED_DAYS = 35
_CELL_CHARACTERS = 80

# Numbers and times; words, also with a hyphen between them.
_HARMLESS = re.compile(r"[0-9 :.+-]*|[^\W_]+(?:[ -][^\W_]+)*")
_BACKTICKS = re.compile("`+")
_BAR = re.compile(r"(\\*)\|")


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose cells cannot be taken for Markdown or HTML, whatever files hold.

    Args:
        names: Names of the columns: our own.
        rows: Their values: anybody's.
    """
    cells = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(value: object) -> str:
    """A value as code, in which nothing but its end means anything; as it is, if it is harmless.

    Escaped text would not do: what looks like an address would be made a link all the same.
    """
    text = " ".join(("" if value is None else str(value)).split())
    if len(text) > _CELL_CHARACTERS:
        text = text[: _CELL_CHARACTERS - 1] + "…"
    if _HARMLESS.fullmatch(text):
        return text
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    # A bar divides cells even in code, unless there is a backslash before it that is not escaped.
    text = _BAR.sub(lambda bar: f"{bar[1] * 2}\\|", text)
    return f"{fence}{space}{text}{space}{fence}"


def query_preview(connection: "Connection", query: str) -> dg.MarkdownMetadataValue:
    """The rows of a query as a Markdown table."""
    result = connection.execute(query)
    names = [column[0] for column in result.description or []]
    return dg.MetadataValue.md(markdown_table(names, result.fetchall()))


def table_metadata(
    connection: "Connection", table: str, order: str, shown: str = "*"
) -> dict[str, Any]:
    """Row count, preview and column schema of one of our own tables.

    Args:
        connection: The warehouse.
        table: Its name.
        order: What to order the preview by.
        shown: Its columns: of a view, those that may be large would be joined for all rows.
    """
    rows = connection.table(table).count("*").fetchall()[0][0]
    # All of them are our own constants.
    preview = f"SELECT {shown} FROM {table} ORDER BY {order} LIMIT {PREVIEW_ROWS}"
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


def daily_plot(days: Sequence[tuple[date, Decimal]]) -> dg.MarkdownMetadataValue:
    """A bar chart of the last days as an SVG that needs nothing else to be seen.

    Dagster shows Markdown of less than 1,000 characters where it stands, and longer ones behind a
    link: hence so few days, and so terse a drawing.

    Args:
        days: Each day and its total in BRL, in order.
    """
    shown = days[-PLOTTED_DAYS:]
    if not shown:
        return dg.MetadataValue.md("No day has a total yet.")
    top = max(total for _, total in shown)
    step = 360 // len(shown)
    bars = "".join(
        f"M{step * number + step // 2} 88V{88 - round(78 * total / top) if top else 88}"
        for number, (_, total) in enumerate(shown)
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="167" viewBox="0 0 360 100" '
        f'font-family="Arial" font-size="8" fill="#777"><text y="7">{top:,.0f} BRL</text>'
        f'<path stroke="#2a6f97" stroke-width="{min(step * 4 // 5, 40)}" d="{bars}"/>'
        f'<text y="97">{shown[0][0]}</text>'
        f'<text x="{step * len(shown)}" y="97" text-anchor="end">{shown[-1][0]}</text></svg>'
    )
    import base64  # noqa: PLC0415  only needed here

    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![credit per day](data:image/svg+xml;base64,{encoded})")
