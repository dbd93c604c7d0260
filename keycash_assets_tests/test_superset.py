"""Superset as people see it, in a real browser."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from keycash_assets.settings import REPOSITORY
from keycash_assets_tests.living_platform import LivingPlatform
from keycash_assets_tests.platform import credit_request, document

DASHBOARDS = ("credito-por-dia", "por-tras-do-numero", "pipeline-health")
CHART = ".dashboard-component-chart-holder"
SHOWN_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("The browser tests need Chromium: `apt-get install chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        )
        yield browser
        browser.close()


SignIn = Callable[[str], Page]


@pytest.fixture
def sign_in(browser: Browser, living: LivingPlatform) -> Iterator[SignIn]:
    """A function that opens a browser of its own for a user, signed in."""
    address = json.loads((living.home / "addresses.json").read_text())["Superset"]
    passwords = json.loads((living.home / "superset" / "secrets.json").read_text())["passwords"]
    contexts = []

    def sign_in_as(user: str) -> Page:
        context = browser.new_context(
            base_url=address, viewport={"width": 1500, "height": 2200}, locale="pt-BR"
        )
        contexts.append(context)
        page = context.new_page()
        page.goto("/login/")
        page.fill("#username", user)
        page.fill("#password", passwords[user])
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        return page

    yield sign_in_as
    for context in contexts:
        context.close()


def _brl(amount: Decimal) -> str:
    return "R$ " + f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def _total(living: LivingPlatform, where: str = "true") -> Decimal:
    query = f"SELECT sum(credito_solicitado) FROM credit_per_day WHERE {where}"
    ((total,),) = living.published(query)
    assert isinstance(total, Decimal)
    return total


def _chart(page: Page, name: str) -> Any:
    title = page.get_by_text(name, exact=True)
    return page.locator(CHART).filter(has=title).first


@contextmanager
def _dashboard(page: Page, slug: str) -> Iterator[Page]:
    """Open a dashboard and wait until every chart has drawn something."""
    page.goto(f"/superset/dashboard/{slug}/")
    path = REPOSITORY / "superset" / "assets" / "dashboards" / f"{slug}.yaml"
    position = yaml.safe_load(path.read_text("utf-8"))["position"]
    names = [key for key in position if key.startswith("CHART-")]
    expect(page.locator(CHART)).to_have_count(len(names), timeout=SHOWN_MS)
    expect(page.locator(f"{CHART} [data-test='loading-indicator']")).to_have_count(
        0, timeout=SHOWN_MS
    )
    yield page


@pytest.mark.parametrize("slug", DASHBOARDS)
def test_every_chart_of_a_dashboard_shows_data(sign_in: SignIn, slug: str) -> None:
    with _dashboard(sign_in("analyst"), slug) as page:
        drawn = page.locator("canvas, table, .header-line")
        charts = page.locator(CHART).count()
        expect(page.locator(CHART).filter(has=drawn)).to_have_count(charts, timeout=SHOWN_MS)
        assert page.get_by_text("No results were returned").count() == 0
        assert page.locator(".ant-alert-error").count() == 0


def test_the_total_is_the_published_one_and_follows_a_new_file(
    sign_in: SignIn, living: LivingPlatform
) -> None:
    """A chart that shows yesterday's number as today's is worse than none."""
    with _dashboard(sign_in("viewer"), "credito-por-dia") as page:
        total = _chart(page, "Crédito solicitado")
        before = _total(living)
        expect(total).to_contain_text(_brl(before), timeout=SHOWN_MS)
        living.put("chart.json", document(credit_request("chart", 123, "06/01/2031 10:00")))
        # Nobody touches Superset: the dashboard refreshes itself.
        expect(total).to_contain_text(_brl(before + 123), timeout=120_000)


def test_a_filter_applies_to_all_charts(sign_in: SignIn, living: LivingPlatform) -> None:
    ((days, total),) = living.published(
        "SELECT count(*), sum(credito_solicitado) FROM credit_per_day "
        "WHERE credito_solicitado >= 2000000"
    )
    with _dashboard(sign_in("viewer"), "credito-por-dia") as page:
        low = page.locator(".ant-input-number-input").first
        low.fill("2000000")
        low.press("Tab")
        page.get_by_role("button", name=re.compile("apply", re.IGNORECASE)).click()
        expect(_chart(page, "Crédito solicitado")).to_contain_text(_brl(total), timeout=SHOWN_MS)
        expect(_chart(page, "Dias com pedidos")).to_contain_text(str(days), timeout=SHOWN_MS)


def test_a_day_leads_to_the_requests_behind_it(sign_in: SignIn, living: LivingPlatform) -> None:
    with _dashboard(sign_in("analyst"), "credito-por-dia") as page:
        page.get_by_role("link", name="05/03/2022").first.click()
        page.wait_for_url(re.compile("por-tras-do-numero"))
        day = _total(living, "data_solicitada = DATE '2022-03-05'")
        shown = _chart(page, "Total dos pedidos mostrados")
        expect(shown).to_contain_text(_brl(day), timeout=SHOWN_MS)


def test_a_click_on_a_client_filters_the_other_charts(
    sign_in: SignIn, living: LivingPlatform
) -> None:
    ((client, amount),) = living.published(
        "SELECT id, credito_solicitado FROM credit_requests WHERE is_latest "
        "ORDER BY data_solicitacao DESC LIMIT 1"
    )
    with _dashboard(sign_in("analyst"), "por-tras-do-numero") as page:
        requests = _chart(page, "Pedidos que contam")
        requests.get_by_text(client, exact=True).first.click()
        shown = _chart(page, "Total dos pedidos mostrados")
        expect(shown).to_contain_text(_brl(amount), timeout=SHOWN_MS)


def _csrf(page: Page) -> dict[str, str]:
    answer = page.request.get("/api/v1/security/csrf_token/")
    token = answer.json()["result"] if answer.ok else ""
    return {"X-CSRFToken": token, "Referer": page.url}


def _query(page: Page, dataset: int) -> int:
    """Status of a query on a dataset, as a chart would send it."""
    query = {"columns": [], "metrics": [_COUNT], "row_limit": 1}
    answer = page.request.post(
        "/api/v1/chart/data",
        headers=_csrf(page),
        data={
            "datasource": {"id": dataset, "type": "table"},
            "queries": [query],
            "result_format": "json",
            "result_type": "full",
        },
    )
    return answer.status


_COUNT = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "n"}


def test_a_viewer_changes_nothing_and_sees_no_personal_data(sign_in: SignIn) -> None:
    admin, analyst, viewer = sign_in("admin"), sign_in("analyst"), sign_in("viewer")
    datasets = {
        dataset["table_name"]: dataset["id"]
        for dataset in admin.request.get("/api/v1/dataset/?q=(page_size:100)").json()["result"]
    }
    personal, open_to_all = datasets["winning_requests"], datasets["credit_per_day"]
    assert _query(viewer, open_to_all) == 200
    assert _query(viewer, personal) == 403
    assert _query(analyst, personal) == 200
    listed = viewer.request.get("/api/v1/dashboard/").json()["result"]
    assert {board["slug"] for board in listed} == {"credito-por-dia", "pipeline-health"}
    chart = admin.request.get("/api/v1/chart/").json()["result"][0]["id"]
    for page in (viewer, analyst):
        headers = _csrf(page)
        refused = [
            page.request.put(f"/api/v1/chart/{chart}", headers=headers, data={"slice_name": "x"}),
            page.request.delete(f"/api/v1/chart/{chart}", headers=headers),
            page.request.delete(f"/api/v1/dashboard/{listed[0]['id']}", headers=headers),
            page.request.post("/api/v1/sqllab/execute/", headers=headers, data={"sql": "SELECT 1"}),
            page.request.post("/api/v1/database/", headers=headers, data={"database_name": "x"}),
        ]
        assert [answer.status in {403, 404} for answer in refused] == [True] * len(refused)


def test_without_a_sign_in_nothing_is_seen(browser: Browser, living: LivingPlatform) -> None:
    address = json.loads((living.home / "addresses.json").read_text())["Superset"]
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/superset/dashboard/credito-por-dia/")
    assert "login" in page.url
    listed = page.request.get("/api/v1/dashboard/")
    assert listed.status in {401, 403} or listed.json()["count"] == 0
    context.close()
