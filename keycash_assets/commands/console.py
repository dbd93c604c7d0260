"""How the commands write to a terminal, or to a file."""

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH_OF_A_FILE = 160

# In a pipe or a file there is no width to keep to.
console = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
)


# They could move the cursor, rewrite what stands above, or fill the clipboard.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def printable(text: object) -> str:
    """A text whose control characters are written out: a terminal must not obey a file."""
    return _CONTROL_CHARACTERS.sub(lambda found: repr(found[0])[1:-1], str(text))


def literal(text: object) -> str:
    """A text of which nothing is taken for rich's markup, or obeyed by a terminal."""
    return escape(printable(text))


def money(value: Decimal | None) -> str:
    """An amount in BRL as people write it; a hyphen for none."""
    return "-" if value is None else f"{value:,.2f}"


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, wide: bool = False
) -> None:
    """Print rows, numbers to the right, nothing in them taken for markup.

    Args:
        title: What the rows are.
        columns: Names of the columns.
        rows: Their values.
        wide: Whether long values go on in the next line rather than being cut.
    """
    table = Table(title=literal(title), title_justify="left", title_style="bold")
    for number, name in enumerate(columns):
        is_number = any(isinstance(row[number], int | Decimal) for row in rows)
        overflow = "fold" if wide else "ellipsis"
        table.add_column(name, justify="right" if is_number else "left", overflow=overflow)  # type: ignore[arg-type]  # one of rich's literals
    for row in rows:
        table.add_row(*(literal(_text(value)) for value in row))
    console.print(table)


def _text(value: object) -> str:
    if value is None or isinstance(value, Decimal):
        return money(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
