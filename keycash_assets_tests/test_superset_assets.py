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
                columns = {column["column_name"] for column in _columns(target["datasetUuid"])}
                assert target["column"]["name"] in columns


def test_every_chart_is_on_a_dashboard() -> None:
    shown = {
        part["meta"]["uuid"]
        for dashboard in DASHBOARDS.values()
        for part in dashboard["position"].values()
        if isinstance(part, dict) and part.get("type") == "CHART"
    }
    assert {chart["uuid"] for chart in CHARTS.values()} == shown


def _columns(uuid: str) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = BY_UUID[uuid]["columns"]
    return columns


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
