"""The pages of the living platform as people see them, in a real browser."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import yaml
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from playwright.sync_api import TimeoutError as BrowserTimeoutError

from keycash_assets.settings import REPOSITORY
from keycash_assets_tests.living_platform import LivingPlatform

CHART = ".dashboard-component-chart-holder"
SHOWN_MS = 60_000
SIGN_IN_ATTEMPTS = 4

SignIn = Callable[[str], Page]
"""Opens a browser of its own for a user of Superset, signed in."""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window.

    Raises:
        FileNotFoundError: It is not installed.
    """
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("The browser tests need Chromium: `apt-get install chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        )
        yield browser
        browser.close()


def address_of(server: str, living: LivingPlatform) -> str:
    """Where ``Dagster`` or ``Superset`` answers."""
    addresses: dict[str, str] = json.loads((living.home / "addresses.json").read_text())
    return addresses[server]


@contextmanager
def signing_in(browser: Browser, living: LivingPlatform) -> Iterator[SignIn]:
    """A function that signs users in.

    Raises:
        AssertionError: A page that it opened has reached something but Superset.
    """
    address = address_of("Superset", living)
    passwords = json.loads((living.home / "superset" / "secrets.json").read_text())["passwords"]
    contexts = []
    asked_elsewhere: list[Request] = []

    def note(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https"} and f"{parts.scheme}://{parts.netloc}" != address:
            asked_elsewhere.append(request)

    def sign_in_as(user: str) -> Page:
        context = browser.new_context(
            base_url=address, viewport={"width": 1500, "height": 2200}, locale="pt-BR"
        )
        contexts.append(context)
        context.set_default_timeout(SHOWN_MS)
        page = context.new_page()
        page.on("request", note)
        for _ in range(SIGN_IN_ATTEMPTS):
            page.goto("/login/", wait_until="networkidle")
            page.fill("#username", user)
            page.fill("#password", passwords[user])
            page.keyboard.press("Enter")
            # A form that is sent before its script is ready leads back to the form, and an answer
            # that comes late can take the session away again: what counts is who one is in the end.
            with suppress(BrowserTimeoutError):
                page.wait_for_url(f"{address}/superset/**", timeout=SHOWN_MS / 3)
                page.wait_for_load_state("networkidle")
                if page.request.get("/api/v1/me/").ok:
                    return page
        raise AssertionError(f"{user} could not sign in, and stands at {page.url}")

    yield sign_in_as
    refused = {request.url: request.failure for request in asked_elsewhere}
    for context in contexts:
        context.close()
    assert set(refused.values()) <= {"csp"}, f"the browser did not refuse all of {refused}"


def chart(page: Page, name: str) -> Any:
    """A chart of the dashboard that a page shows, by its title."""
    title = page.get_by_text(name, exact=True)
    return page.locator(CHART).filter(has=title).first


@contextmanager
def dashboard(page: Page, slug: str, query: str = "") -> Iterator[Page]:
    """Open a dashboard and wait until every chart has drawn something."""
    page.goto(f"/superset/dashboard/{slug}/{query}")
    path = REPOSITORY / "superset" / "assets" / "dashboards" / f"{slug}.yaml"
    position = yaml.safe_load(path.read_text("utf-8"))["position"]
    names = [key for key in position if key.startswith("CHART-")]
    expect(page.locator(CHART)).to_have_count(len(names), timeout=SHOWN_MS)
    expect(page.locator(f"{CHART} [data-test='loading-indicator']")).to_have_count(
        0, timeout=SHOWN_MS
    )
    yield page
