"""The dashboards' files, walked from dashboard to chart to dataset to the real tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from keycash_assets.settings import REPOSITORY
from keycash_assets.warehouse import create_tables
from keycash_assets_tests.platform import Platform, credit_request, document

FOLDER = REPOSITORY / "superset"


def _load(kind: str) -> dict[str, dict[str, Any]]:
    paths = sorted((FOLDER / "assets" / kind).glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in paths}


CHARTS, DATASETS, DASHBOARDS = _load("charts"), _load("datasets"), _load("dashboards")
BY_UUID = {dataset["uuid"]: dataset for dataset in DATASETS.values()}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """The real tables, empty."""
    with duckdb.connect() as connection:
        create_tables(connection)
        yield connection


def test_no_two_files_are_the_same_object() -> None:
    documents = [*CHARTS.values(), *DATASETS.values(), *DASHBOARDS.values()]
    assert len({document["uuid"] for document in documents}) == len(documents)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_shows_charts_that_exist(name: str) -> None:
    by_uuid = {chart["uuid"]: chart["slice_name"] for chart in CHARTS.values()}
    position = DASHBOARDS[name]["position"]
    shown = [part for part in position.values() if isinstance(part, dict) and "meta" in part]
    charts = [part["meta"] for part in shown if part["type"] == "CHART"]
    assert charts
    for chart in charts:
        assert by_uuid[chart["uuid"]] == chart["sliceName"]
    for row in (part for part in shown if part["type"] == "ROW"):
        assert sum(position[child]["meta"]["width"] for child in row["children"]) == 12
    for native in DASHBOARDS[name]["metadata"]["native_filter_configuration"]:
        for target in native["targets"]:
            if target:
                dataset = BY_UUID[target["datasetUuid"]]
                columns = {column["column_name"] for column in dataset["columns"]}
                metrics = {metric["metric_name"] for metric in dataset["metrics"]}
                assert target["column"]["name"] in columns
                assert native.get("sortMetric") in {None, *metrics}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_viewer_may_read_all_of_a_dashboard_or_nothing_of_it(name: str) -> None:
    """One chart that they may read would open the dashboard to them, with errors for the rest."""
    readable = yaml.safe_load((FOLDER / "roles.yaml").read_text("utf-8"))["viewer"]["datasets"]
    uuids = {
        part["meta"]["uuid"]
        for part in DASHBOARDS[name]["position"].values()
        if isinstance(part, dict) and part.get("type") == "CHART"
    }
    datasets = [chart["dataset_uuid"] for chart in CHARTS.values() if chart["uuid"] in uuids]
    assert len({BY_UUID[dataset]["table_name"] in readable for dataset in datasets}) == 1


def test_every_chart_is_on_a_dashboard() -> None:
    shown = {
        part["meta"]["uuid"]
        for dashboard in DASHBOARDS.values()
        for part in dashboard["position"].values()
        if isinstance(part, dict) and part.get("type") == "CHART"
    }
    assert {chart["uuid"] for chart in CHARTS.values()} == shown


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_asks_for_columns_and_metrics_that_exist(name: str) -> None:
    chart = CHARTS[name]
    params = chart["params"]
    dataset = BY_UUID[chart["dataset_uuid"]]
    columns = {column["column_name"] for column in dataset["columns"]}
    metrics = {metric["metric_name"] for metric in dataset["metrics"]}
    asked = {*params.get("all_columns", []), *filter(None, [params.get("x_axis")])}
    grouped = params.get("groupby", [])
    asked |= {grouped} if isinstance(grouped, str) else set(grouped)
    asked |= {json.loads(order)[0] for order in params.get("order_by_cols", [])}
    asked |= {condition["subject"] for condition in params["adhoc_filters"]}
    assert asked <= columns
    assert {*params.get("metrics", []), *filter(None, [params.get("metric")])} <= metrics
    assert len(chart["description"]) > 20


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_is_what_the_tables_hold(name: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    """A renamed column would show as an error on a chart, to an analyst."""
    dataset = DATASETS[name]
    query = dataset["sql"] or f"FROM {name}"
    described = warehouse.execute(f"DESCRIBE {query}").fetchall()
    types = {column: str(kind) for column, kind, *_ in described}
    assert [column["column_name"] for column in dataset["columns"]] == list(types)
    for column in dataset["columns"]:
        is_dated = types[column["column_name"]].startswith(("DATE", "TIMESTAMP"))
        assert column["is_dttm"] == is_dated, column["column_name"]
    for metric in dataset["metrics"]:
        warehouse.execute(f"SELECT {metric['expression']} FROM ({query}) AS dataset").fetchall()


def test_roles_name_datasets_that_exist_and_keep_personal_data_to_the_analyst() -> None:
    roles = yaml.safe_load(Path(FOLDER / "roles.yaml").read_text("utf-8"))
    for role in roles.values():
        assert set(role["datasets"]) <= set(DATASETS)
    personal = {
        name
        for name, dataset in DATASETS.items()
        if {"id", "name", "record", "raw"} & {c["column_name"] for c in dataset["columns"]}
    }
    assert personal
    assert personal.isdisjoint(roles["viewer"]["datasets"])
    assert set(roles["analyst"]["datasets"]) == set(DATASETS)


def test_the_cards_of_pipeline_health_count_what_is_there_now(platform: Platform) -> None:
    """Versions that newer ones replaced, and deleted objects, would be counted for ever."""
    wrong = document(credit_request("a", "abc"), credit_request("b", 1))
    platform.put({"mended.json": wrong, "wrong.json": wrong, "gone.json": wrong})
    platform.put({"broken.json": b"{", "healed.json": b"{"})
    platform.tick()
    platform.put({"mended.json": document(credit_request("a", 2)), "healed.json": document()})
    platform.delete("gone.json")
    platform.tick()
    counted = {
        metric["metric_name"]: platform.published(
            f"SELECT {metric['expression']} FROM ({dataset['sql']}) AS dataset"
        )
        for dataset in (DATASETS["object_ledger"], DATASETS["loaded_records"])
        for metric in dataset["metrics"]
    }
    assert counted["objects"] == [(4,)]
    assert counted["quarantined_objects"] == [(1,)]
    assert counted["records_total"] == platform.published("SELECT count(*) FROM landing_table")
    assert counted["problem_records_total"] == platform.published(
        "SELECT count(*) FROM landing_table WHERE problems IS NOT NULL"
    )
