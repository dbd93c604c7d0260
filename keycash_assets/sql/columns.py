"""What each table and column is for, read from the comments of the statements that make them."""

import re
from dataclasses import dataclass
from functools import cache

from keycash_assets import sql

_COLUMN = re.compile(
    r"^ {4}(?:.* AS )?(?:\w+\.)?(\w+)(?: ([A-Z][^,]*(?:\([^)]*\))?(?:\[\])?))?,? -- (.+)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, its SQL type (empty in a view) and what it holds."""

    name: str
    type: str
    description: str


@cache
def columns(table: str) -> list[Column]:
    """The columns of a table, in its order."""
    text = sql.statement(f"tables/{table}")
    return [
        Column(found[1], (found[2] or "").strip(), found[3]) for found in _COLUMN.finditer(text)
    ]


@cache
def description(table: str) -> str:
    """What a table is for, in a sentence."""
    return sql.statement(f"tables/{table}").splitlines()[0].removeprefix("-- ")
