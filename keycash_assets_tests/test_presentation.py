"""What people see in the Dagster UI."""

import base64
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from keycash_assets.bucket import Bucket
from keycash_assets.presentation import PLOTTED_DAYS, daily_plot, markdown_table
from keycash_assets.settings import Settings
from keycash_assets_tests.platform import Platform, credit_request, document
from keycash_assets_tests.test_definitions import TABLES

INLINE_CHARACTERS = 1_000
"""From this length on the Dagster UI hides Markdown behind a link."""


@pytest.mark.parametrize("count", [1, 2, 31, 2_000])
def test_the_plot_is_seen_without_a_click_however_long_the_series(count: int) -> None:
    first = date(2022, 1, 1)
    days = [
        (first + timedelta(number), Decimal(10**15 - number % 40 * 10**13))
        for number in range(count)
    ]
    markdown = daily_plot(days).value or ""
    assert len(markdown) < INLINE_CHARACTERS
    encoded = markdown.partition("base64,")[2].rstrip(")")
    drawing = ElementTree.fromstring(base64.b64decode(encoded))  # noqa: S314  our own
    (bars,) = drawing.findall("{http://www.w3.org/2000/svg}path")
    assert bars.attrib["d"].count("M") == min(count, PLOTTED_DAYS)
    texts = [text.text for text in drawing.findall("{http://www.w3.org/2000/svg}text")]
    assert texts[-1] == str(days[-1][0])


def test_each_materialization_says_what_it_did(platform: Platform) -> None:
    """The numbers in the UI are what people go by when something looks wrong."""
    contents = {
        "a.json": document(credit_request("c1", 10), credit_request("c2", 20)),
        "b.json": document(credit_request("c1", 5, "01/01/2022 10:00"), {"id": ""}),
        "c.json": b"{",
    }
    platform.put(contents)
    run = platform.run("full_load")
    assert run.success
    said = {
        event.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in run.get_asset_materialization_events()
        if event.asset_key is not None
    }
    assert (
        said["landing_table"].items()
        >= {
            "objects loaded": 2,
            "objects quarantined": 1,
            "records loaded": 4,
            "bytes read": sum(map(len, contents.values())),
            "dagster/row_count": 4,
        }.items()
    )
    assert {name: said[name]["dagster/row_count"] for name in sorted(said) if name in TABLES} == {
        "credit_per_day": 1,
        "credit_per_day_changes": 1,
        "credit_requests": 3,
        "landing_table": 4,
        "object_ledger": 3,
        "quarantine": 1,
    }
    assert said["credit_per_day"].items() >= {"total": "R$ 30.00", "days": 1, "requests": 2}.items()
    assert [name for name, metadata in said.items() if "seconds" not in metadata] == []


def test_the_source_says_its_files_and_bytes(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.json").write_bytes(b"[1]")
    environment["KEYCASH_SOURCE"] = str(tmp_path / "source")
    settings = Settings.from_environment(environment)
    with Platform.start(
        settings, Bucket(environment["KEYCASH_OBJECTS_URL"], environment)
    ) as platform:
        run = platform.run("upload_source_files")
    assert run.success
    raw, put = (event.materialization.metadata for event in run.get_asset_materialization_events())
    assert (raw["files"].value, raw["bytes"].value) == (1, 3)
    assert (put["objects put"].value, put["bytes put"].value) == (1, 3)
    assert "seconds" in raw
    assert "seconds" in put


def test_a_series_without_amounts_is_no_error() -> None:
    """An empty bucket, and a day whose total is 0."""
    assert daily_plot([]).value
    assert daily_plot([(date(2022, 1, 1), Decimal(0))]).value


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (Decimal("-1.50"), "-1.50"),
        ("JOÃO DA SILVA", "JOÃO DA SILVA"),
        ("_emphasis_", "`_emphasis_`"),
        ("www.example.org", "`www.example.org`"),
        ("a@example.org", "`a@example.org`"),
        ("<b>\n| a", "`<b> \\| a`"),
        ("\\| a", "`\\\\\\| a`"),
        ("a``b`", "``` a``b` ```"),
        ("é" * 100, f"`{'é' * 79}…`"),
    ],
)
def test_a_cell_is_text_whatever_it_holds(value: object, cell: str) -> None:
    """A client's name could be a link, a picture, or another cell."""
    assert markdown_table(["name"], [[value]]).splitlines()[-1].removesuffix(" |")[2:] == cell
