"""Statements that make up a past for the races to start from, one a file."""

from importlib import resources


def statement(name: str) -> str:
    """The statement of a file in this folder."""
    return resources.files(__name__).joinpath(f"{name}.sql").read_text("utf-8")
