"""What people see in the Dagster UI."""

import base64
from datetime import date, timedelta
from decimal import Decimal
from xml.etree import ElementTree

import pytest

from keycash_assets.presentation import PLOTTED_DAYS, daily_plot, markdown_table

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
