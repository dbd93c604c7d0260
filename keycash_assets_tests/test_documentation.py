"""What the documents name exists, and what exists is named."""

import re
from pathlib import Path

import pytest

from docs.export_architecture import DIAGRAM, svg
from keycash_assets import sql
from keycash_assets.cli import main
from keycash_assets.definitions import build_definitions
from keycash_assets.settings import REPOSITORY, Settings
from keycash_assets.sql.columns import columns

README = (REPOSITORY / "README.md").read_text("utf-8")


def test_the_readme_names_everything_that_people_meet(settings: Settings) -> None:
    definitions = build_definitions(settings)
    graph = definitions.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    names |= {key.name for key in graph.asset_check_keys}
    names |= {job.name for job in definitions.jobs or []}
    names |= {"s3_object_sensor", "daily_full_load"}
    assert {name for name in names if f"`{name}`" not in README} == set()


def test_the_readme_names_every_command_and_target() -> None:
    targets = re.findall(r"^([a-z]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    expected = {f"make {target}" for target in targets if target != "help"}
    expected |= {f"keycash {command}" for command in main.commands}
    assert {name for name in expected if name not in README} == set()


def test_every_variable_is_in_the_readme_and_in_the_example() -> None:
    source = (REPOSITORY / "keycash_assets" / "settings.py").read_text("utf-8")
    variables = set(re.findall(r"KEYCASH_[A-Z_]+", source)) | {"MOTHERDUCK_TOKEN"}
    example = (REPOSITORY / ".env.example").read_text("utf-8")
    assert {name for name in variables if name not in README or name not in example} == set()


def test_the_contract_names_every_column() -> None:
    contract = (REPOSITORY / "docs" / "data-contract.md").read_text("utf-8")
    for name in sql.statement_names("tables"):
        table = name.removeprefix("tables/")
        assert f"**`{table}`**" in contract
        assert columns(table)
        for column in columns(table):
            assert f"`{column.name}`" in contract, f"{table}.{column.name}"


def test_the_tests_that_are_named_exist() -> None:
    """A promise whose test has another name by now is one that nobody can check."""
    named = set(re.findall(r"`(test_\w+)`", (REPOSITORY / "SECURITY.md").read_text("utf-8")))
    folder = REPOSITORY / "keycash_assets_tests"
    sources = "".join(path.read_text("utf-8") for path in folder.rglob("test_*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in sources} == set()


@pytest.mark.parametrize("document", ["README.md", "docs/data-contract.md", "docs/events.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = REPOSITORY / document
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def test_the_diagram_and_its_svg_are_the_same() -> None:
    exported = Path(DIAGRAM).with_suffix(".svg").read_text("utf-8")
    assert exported == svg(DIAGRAM.read_text("utf-8")), "run python docs/export_architecture.py"
