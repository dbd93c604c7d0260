"""Superset as people see it, in a real browser."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from keycash_assets.settings import REPOSITORY
from keycash_assets_tests.browsing import CHART, SHOWN_MS, SignIn, chart, dashboard
from keycash_assets_tests.living_platform import LivingPlatform
from keycash_assets_tests.platform import credit_request, document

DASHBOARDS = ("credito-por-dia", "por-tras-do-numero", "pipeline-health")
SUPERSET = REPOSITORY / "superset"

SOURCE_TOTAL = Decimal(66_977_570 if os.environ.get("KEYCASH_CHALLENGE_DIR") else "58640025.49")
"""What the source's 31 days in 2022 sum up to."""


def _brl(amount: Decimal) -> str:
    return "R$ " + f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def _total(living: LivingPlatform, where: str = "true") -> Decimal:
    query = f"SELECT sum(credito_solicitado) FROM credit_per_day WHERE {where}"
    ((total,),) = living.published(query)
    assert isinstance(total, Decimal)
    return total


@pytest.mark.parametrize("slug", DASHBOARDS)
def test_every_chart_of_a_dashboard_shows_data(sign_in: SignIn, slug: str) -> None:
    with dashboard(sign_in("analyst"), slug) as page:
        drawn = page.locator("canvas, table, .header-line")
        charts = page.locator(CHART).count()
        expect(page.locator(CHART).filter(has=drawn)).to_have_count(charts, timeout=SHOWN_MS)
        assert page.get_by_text("No results were returned").count() == 0
        assert page.locator(".ant-alert-error").count() == 0


def test_the_total_is_the_published_one_and_follows_a_new_file(
    sign_in: SignIn, living: LivingPlatform
) -> None:
    """A chart that shows yesterday's number as today's is worse than none."""
    with dashboard(sign_in("viewer"), "credito-por-dia") as page:
        total = chart(page, "Crédito solicitado")
        before = _total(living)
        expect(total).to_contain_text(_brl(before), timeout=SHOWN_MS)
        living.put("chart.json", document(credit_request("chart", 123, "06/01/2031 10:00")))
        # Nobody touches Superset: the dashboard refreshes itself.
        expect(total).to_contain_text(_brl(before + 123), timeout=120_000)


def test_a_time_range_applies_to_all_charts_and_gives_the_total_of_the_source(
    sign_in: SignIn,
) -> None:
    time_range = "'2022-01-01 : 2023-01-01'"
    query = (
        "?native_filters=(NATIVE_FILTER-periodo:(id:NATIVE_FILTER-periodo,ownState:(),"
        f"extraFormData:(time_range:{time_range}),filterState:(value:{time_range})))"
    )
    with dashboard(sign_in("viewer"), "credito-por-dia", query) as page:
        total = chart(page, "Crédito solicitado")
        expect(total).to_contain_text(_brl(SOURCE_TOTAL), timeout=SHOWN_MS)
        expect(chart(page, "Dias com pedidos")).to_contain_text("31", timeout=SHOWN_MS)
        days = page.locator(f"{CHART} a").filter(has_text="/2022")
        expect(days).to_have_count(31, timeout=SHOWN_MS)


def test_a_filter_applies_to_all_charts(sign_in: SignIn, living: LivingPlatform) -> None:
    ((days, total),) = living.published(
        "SELECT count(*), sum(credito_solicitado) FROM credit_per_day "
        "WHERE credito_solicitado >= 2000000"
    )
    with dashboard(sign_in("viewer"), "credito-por-dia") as page:
        low = page.locator(".ant-input-number-input").first
        low.fill("2000000")
        low.press("Tab")
        page.get_by_role("button", name=re.compile("apply", re.IGNORECASE)).click()
        expect(chart(page, "Crédito solicitado")).to_contain_text(_brl(total), timeout=SHOWN_MS)
        expect(chart(page, "Dias com pedidos")).to_contain_text(str(days), timeout=SHOWN_MS)


def _day(living: LivingPlatform) -> str:
    """The last day of the source, as people write it."""
    ((day,),) = living.published(
        "SELECT strftime(max(data_solicitada), '%d/%m/%Y') FROM credit_per_day "
        "WHERE data_solicitada < DATE '2023-01-01'"
    )
    return str(day)


def test_a_day_leads_to_the_requests_behind_it(sign_in: SignIn, living: LivingPlatform) -> None:
    day = _day(living)
    ((total, requests),) = living.published(
        "SELECT credito_solicitado, requests FROM credit_per_day "
        f"WHERE strftime(data_solicitada, '%d/%m/%Y') = '{day}'"
    )
    with dashboard(sign_in("analyst"), "credito-por-dia") as page:
        page.get_by_role("link", name=day).first.click()
        page.wait_for_url(re.compile("por-tras-do-numero"))
        shown = chart(page, "Total dos pedidos mostrados")
        expect(shown).to_contain_text(_brl(total), timeout=SHOWN_MS)
        for name in ("Pedidos mostrados", "Pedidos que contam"):
            expect(chart(page, name)).to_contain_text(str(requests), timeout=SHOWN_MS)


def test_a_click_on_a_number_of_a_day_filters_the_other_charts(
    sign_in: SignIn, living: LivingPlatform
) -> None:
    """A filter on what only the table knows would leave the cards as they were, or break them."""
    ((total, requests),) = living.published(
        "SELECT max_by(credito_solicitado, data_solicitada), max_by(requests, data_solicitada) "
        "FROM credit_per_day WHERE data_solicitada < DATE '2023-01-01'"
    )
    with dashboard(sign_in("viewer"), "credito-por-dia") as page:
        table = chart(page, "Por dia: abra os pedidos por trás de cada número")
        table.get_by_text(_brl(total), exact=True).first.click()
        expect(chart(page, "Crédito solicitado")).to_contain_text(_brl(total), timeout=SHOWN_MS)
        expect(chart(page, "Pedidos")).to_contain_text(str(requests), timeout=SHOWN_MS)
        expect(chart(page, "Dias com pedidos")).to_contain_text("1", timeout=SHOWN_MS)


def test_a_viewer_who_follows_a_day_is_told_who_sees_personal_data(
    sign_in: SignIn, living: LivingPlatform
) -> None:
    """Charts full of errors, or a bare 404, would look like a broken platform."""
    with dashboard(sign_in("viewer"), "credito-por-dia") as page:
        page.get_by_role("link", name=_day(living)).first.click()
        expect(page.get_by_text("o seu papel não a vê")).to_be_visible(timeout=SHOWN_MS)


def test_a_click_on_a_client_filters_the_other_charts(
    sign_in: SignIn, living: LivingPlatform
) -> None:
    ((client, amount),) = living.published(
        "SELECT id, credito_solicitado FROM credit_requests WHERE is_latest "
        "ORDER BY data_solicitacao DESC LIMIT 1"
    )
    with dashboard(sign_in("analyst"), "por-tras-do-numero") as page:
        requests = chart(page, "Pedidos que contam")
        requests.get_by_text(client, exact=True).first.click()
        shown = chart(page, "Total dos pedidos mostrados")
        expect(shown).to_contain_text(_brl(amount), timeout=SHOWN_MS)


def test_what_is_wrong_with_files_is_shown_without_what_they_say(
    sign_in: SignIn, living: LivingPlatform
) -> None:
    """Reasons are for engineers, who may not see personal data."""
    living.put("broken.json", b'{"clientes": [{"id": "NOT-FOR-ENGINEERS"')
    living.put("wrong.json", document(credit_request("wrong", "NOT-FOR-ENGINEERS", email="x")))
    found = "SELECT count(*) FROM landing_table WHERE problems IS NOT NULL"
    living.wait_until_published(found, [(1,)])
    living.wait_until_published("SELECT count(*) FROM quarantine", [(1,)])
    try:
        with dashboard(sign_in("viewer"), "pipeline-health") as page:
            for name, text in (
                ("Quarantined objects", "1"),
                ("Quarantine", "not JSON: it ends too early"),
                ("Problem records", "1"),
                ("Records with problems", "credito_solicitado: not a number"),
                ("Schema drift", "email"),
            ):
                expect(chart(page, name)).to_contain_text(text, timeout=SHOWN_MS)
            assert page.get_by_text("NOT-FOR-ENGINEERS").count() == 0
    finally:
        for name in ("broken.json", "wrong.json"):
            living.put(name, document(credit_request("mended", 1, "06/02/2031 10:00")))
        living.wait_until_published(found, [(0,)])
        living.wait_until_published("SELECT count(*) FROM quarantine", [(0,)])


def _csrf(page: Page) -> dict[str, str]:
    answer = page.request.get("/api/v1/security/csrf_token/")
    token = answer.json()["result"] if answer.ok else ""
    return {"X-CSRFToken": token, "Referer": page.url}


def _query(page: Page, dataset: int, expression: str = "COUNT(*)") -> int:
    """Status of a query on a dataset, as a chart would send it."""
    metric = {"expressionType": "SQL", "sqlExpression": expression, "label": "n"}
    query = {"columns": [], "metrics": [metric], "row_limit": 1}
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


def test_a_viewer_changes_nothing_and_sees_no_personal_data(sign_in: SignIn) -> None:
    admin, analyst, viewer = sign_in("admin"), sign_in("analyst"), sign_in("viewer")
    datasets = {
        dataset["table_name"]: dataset["id"]
        for dataset in admin.request.get("/api/v1/dataset/?q=(page_size:100)").json()["result"]
    }
    personal, open_to_all = datasets["winning_requests"], datasets["credit_per_day_links"]
    assert _query(viewer, open_to_all) == 200
    assert _query(viewer, personal) == 403
    assert _query(analyst, personal) == 200
    assert _query(admin, personal) == 200
    # Not by way of a dataset that they may read either, nor by what everybody has done.
    for expression in ("(SELECT max(name) FROM landing_table)", "max((FROM landing_table).name)"):
        assert _query(viewer, open_to_all, expression) in {400, 403, 422}
    assert viewer.request.get(f"/api/v1/dataset/{personal}").status == 404
    assert viewer.request.get("/api/v1/dashboard/por-tras-do-numero").status == 404
    assert viewer.request.get("/api/v1/log/").status == 403
    listed = viewer.request.get("/api/v1/dashboard/").json()["result"]
    assert {board["slug"] for board in listed} == {"credito-por-dia", "pipeline-health"}
    some_chart = admin.request.get("/api/v1/chart/").json()["result"][0]["id"]
    for page in (viewer, analyst):
        headers = _csrf(page)
        refused = [
            page.request.put(
                f"/api/v1/chart/{some_chart}", headers=headers, data={"slice_name": "x"}
            ),
            page.request.delete(f"/api/v1/chart/{some_chart}", headers=headers),
            page.request.delete(f"/api/v1/dashboard/{listed[0]['id']}", headers=headers),
            page.request.post("/api/v1/sqllab/execute/", headers=headers, data={"sql": "SELECT 1"}),
            page.request.post("/api/v1/database/", headers=headers, data={"database_name": "x"}),
            page.request.post("/api/v1/chart/", headers=headers, data={"slice_name": "x"}),
            page.request.post("/api/v1/dashboard/", headers=headers, data={"slug": "x"}),
            page.request.post("/api/v1/dataset/", headers=headers, data={"table_name": "x"}),
            page.request.get("/api/v1/security/users/"),
        ]
        assert {answer.status for answer in refused} <= {403, 404}
    assert admin.request.get("/api/v1/security/users/").status == 200


def test_without_a_sign_in_nothing_is_seen(browser: Browser, living: LivingPlatform) -> None:
    address = json.loads((living.home / "addresses.json").read_text())["Superset"]
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/superset/dashboard/credito-por-dia/")
    assert "login" in page.url
    listed = page.request.get("/api/v1/dashboard/")
    assert listed.status in {401, 403} or listed.json()["count"] == 0
    context.close()


def test_what_leaves_the_folder_leaves_superset_and_what_people_made_stays(
    living: LivingPlatform, tmp_path: Path
) -> None:
    """On a copy of its state, moved to MotherDuck: its token is stored nowhere."""
    home, folder = tmp_path / "superset", tmp_path / "folder"
    shutil.copytree(living.home / "superset", home, ignore=shutil.ignore_patterns("superset.db*"))
    with (
        sqlite3.connect(living.home / "superset" / "superset.db") as source,
        sqlite3.connect(home / "superset.db") as copy,
    ):
        source.backup(copy)
        copy.execute(
            "UPDATE slices SET is_managed_externally = false "
            "WHERE slice_name = 'Revisões de totais'"
        )
    copy.close()
    shutil.copytree(SUPERSET, folder)
    for name in (
        "dashboards/por-tras-do-numero",
        "charts/revisoes",
        "charts/pedidos_por_cliente",
        "datasets/requests_per_client",
    ):
        (folder / "assets" / f"{name}.yaml").unlink()
    roles = yaml.safe_load((folder / "roles.yaml").read_text())
    roles["analyst"]["datasets"].remove("requests_per_client")
    del roles["viewer"]
    (folder / "roles.yaml").write_text(yaml.safe_dump(roles))
    subprocess.run(
        [REPOSITORY / ".venv-superset" / "bin" / "python", "-c", "import wsgi"],
        cwd=folder,
        env={
            **os.environ,
            "KEYCASH_HOME": str(tmp_path),
            "KEYCASH_WAREHOUSE": "md:keycash",
            "KEYCASH_PUBLISHED": str(living.snapshot),
            "MOTHERDUCK_TOKEN": "token-of-motherduck",
            "SUPERSET_CONFIG_PATH": str(folder / "superset_config.py"),
        },
        check=True,
        timeout=180,
    )

    with sqlite3.connect(home / "superset.db") as database:

        def names(column: str, table: str) -> set[str]:
            return {name for (name,) in database.execute(f"SELECT {column} FROM {table}")}

        assert names("slug", "dashboards") == {"credito-por-dia", "pipeline-health"}
        charts = names("slice_name", "slices")
        assert "Pedidos por cliente" not in charts
        assert {"Revisões de totais", "Crédito solicitado"} <= charts
        assert "requests_per_client" not in names("table_name", "tables")
        assert names("sqlalchemy_uri", "dbs") == {"duckdb:///md:keycash"}
        assert names("username", "ab_user WHERE active") == {"admin", "analyst"}
    database.close()
    assert all(b"token-of-motherduck" not in path.read_bytes() for path in home.iterdir())
