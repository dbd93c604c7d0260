"""What others rely on by name, and what loading the code must not do."""

import importlib
import subprocess
import sys

import dagster as dg
import pytest

from keycash_assets.definitions import build_definitions
from keycash_assets.run_launcher import IMPORTED_BEFORE
from keycash_assets.settings import Settings

GRAPH = {
    "raw_files": set(),
    "s3_objects": {"raw_files"},
    "landing_table": {"s3_objects"},
    "object_ledger": {"landing_table"},
    "quarantine": {"landing_table"},
    "credit_requests": {"landing_table"},
    "credit_per_day": {"landing_table", "object_ledger"},
    "credit_per_day_changes": {"landing_table"},
    "published_snapshot": {
        "landing_table",
        "object_ledger",
        "quarantine",
        "credit_requests",
        "credit_per_day",
        "credit_per_day_changes",
    },
    "dashboard_credit_per_day": {"published_snapshot"},
    "dashboard_behind_the_number": {"published_snapshot"},
    "dashboard_pipeline_health": {"published_snapshot"},
}
TABLES = {name for name, parents in GRAPH.items() if "landing_table" in parents | {name}} - {
    "published_snapshot"
}


@pytest.fixture
def definitions(settings: Settings) -> dg.Definitions:
    """What Dagster would load."""
    return build_definitions(settings)


def test_the_asset_graph_is_the_one_that_people_know(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    } == GRAPH


def test_every_asset_is_explained_and_every_table_has_its_columns(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    for name in GRAPH:
        node = graph.get(dg.AssetKey(name))
        assert len(node.description or "") > 40, name
        assert ("dagster/column_schema" in node.metadata) == (name in TABLES), name


def test_the_names_of_the_contract_exist(definitions: dg.Definitions) -> None:
    assert {sensor.name for sensor in definitions.sensors or []} == {"s3_object_sensor"}
    schedules = [
        (schedule.name, schedule.job_name, schedule.cron_schedule, schedule.execution_timezone)
        for schedule in definitions.schedules or []
        if isinstance(schedule, dg.ScheduleDefinition)
    ]
    assert schedules == [
        ("daily_full_load", "full_load", "0 6 * * *", "America/Sao_Paulo"),
        ("daily_retention", "delete_old_runs", "30 5 * * *", "America/Sao_Paulo"),
    ]
    for job in (
        "upload_source_files",
        "ingest_objects",
        "full_load",
        "replay_objects",
        "delete_old_runs",
    ):
        assert definitions.resolve_job_def(job).executor_def is dg.in_process_executor
    landing = definitions.resolve_asset_graph().get(dg.AssetKey("landing_table"))
    assert isinstance(landing.partitions_def, dg.DynamicPartitionsDefinition)
    assert landing.partitions_def.name == "objects"
    assert landing.backfill_policy == dg.BackfillPolicy.single_run()


def test_whatever_writes_the_warehouse_is_in_its_pool(definitions: dg.Definitions) -> None:
    """Outside it two runs would wait for each other's lock in vain."""
    graph = definitions.resolve_asset_graph()
    for name in {*TABLES, "published_snapshot"}:
        assert graph.get(dg.AssetKey(name)).pools == {"warehouse"}, name
    for checks in definitions.asset_checks or []:
        assert isinstance(checks, dg.AssetChecksDefinition)
        assert checks.node_def.pools == {"warehouse"}


@pytest.mark.parametrize("module", ["keycash_assets.definitions", "keycash_assets.cli"])
def test_importing_costs_little_and_touches_nothing(module: str) -> None:
    """The code server and every run import it; seconds there are seconds of every file."""
    program = (
        f"import sys; import {module}; "
        "print([name for name in ('pandas', 'pyarrow', 'boto3', 'obstore', 'rich') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_runs_import_beforehand_can_be_imported() -> None:
    """The fork server passes over what it cannot import: runs would be slow with no word of it."""
    for module in IMPORTED_BEFORE:
        importlib.import_module(module)
