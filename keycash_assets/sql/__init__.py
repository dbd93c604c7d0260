"""The SQL, one statement a file, read by name."""

from functools import cache
from importlib import resources


@cache
def statement(name: str) -> str:
    """The statement of a file below this folder, as in ``statement("load/landing_table")``."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text("utf-8")


def statement_names(folder: str) -> list[str]:
    """The names of all statements in a folder, sorted."""
    files = resources.files(__name__).joinpath(folder).iterdir()
    return sorted(f"{folder}/{file.name.removesuffix('.sql')}" for file in files)
