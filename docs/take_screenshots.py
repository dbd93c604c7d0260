"""Takes the pictures of the dashboards in ``docs/images``, in headless Chromium.

Run ``python docs/take_screenshots.py HOME [NAME ...]`` in the development environment, with the
``KEYCASH_HOME`` of a running ``keycash up``, and look at each picture before you commit it. "Por
trás do número" shows names and ids of clients: take that one from the sample.
"""

import json
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

IMAGES = Path(__file__).parent / "images"
WIDTH = 1440
DASHBOARDS = ("credito-por-dia", "por-tras-do-numero", "pipeline-health")
SHOWN_MS = 120_000
_CHART = ".dashboard-component-chart-holder"


def take(home: Path, names: list[str]) -> None:
    """Take the pictures of these dashboards."""
    addresses = json.loads((home / "addresses.json").read_text())
    passwords = json.loads((home / "superset" / "secrets.json").read_text())["passwords"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = _sign_in(browser, addresses["Superset"], passwords["analyst"])
        for name in names:
            _take_dashboard(page, name)
        browser.close()


def _sign_in(browser: Browser, address: str, password: str) -> Page:
    context = browser.new_context(
        base_url=address, viewport={"width": WIDTH, "height": 900}, locale="pt-BR"
    )
    context.set_default_timeout(SHOWN_MS)
    page = context.new_page()
    page.goto("/login/", wait_until="networkidle")
    page.fill("#username", "analyst")
    page.fill("#password", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return page


def _take_dashboard(page: Page, name: str) -> None:
    """All of it, in a window so high that nothing has to be scrolled to."""
    page.set_viewport_size({"width": WIDTH, "height": 4000})
    page.goto(f"/superset/dashboard/{name}/", wait_until="networkidle")
    expect(page.locator(_CHART).first).to_be_visible(timeout=SHOWN_MS)
    expect(page.locator(f"{_CHART} [data-test='loading-indicator']")).to_have_count(
        0, timeout=SHOWN_MS
    )
    bottom = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.dashboard-component-chart-holder')]"
        ".map(chart => chart.getBoundingClientRect().bottom))"
    )
    # Charts that draw themselves unfold for a moment.
    page.wait_for_timeout(3_000)
    page.screenshot(
        path=IMAGES / f"{name}.png",
        clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom + 24},
    )


if __name__ == "__main__":
    home, *chosen = sys.argv[1:]
    take(Path(home), chosen or [*DASHBOARDS])
