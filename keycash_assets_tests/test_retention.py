"""What Dagster remembers of runs, and what becomes of it."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from keycash_assets import retention
from keycash_assets_tests.platform import Platform, credit_request, document


def _files_of(platform: Platform, run_id: str) -> list[Path]:
    return [
        path
        for path in Path(platform.instance.root_directory).rglob("*")
        if run_id in str(path) and path.is_file()
    ]


def test_the_newest_runs_are_kept_and_nothing_is_left_of_the_others(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run a minute would fill a disk within a year; one that is loading is never touched."""
    monkeypatch.setattr(retention, "RUNS_KEPT", 2)
    loading = create_run_for_test(
        platform.instance, job_name="full_load", status=dg.DagsterRunStatus.STARTED
    )
    runs = []
    for n in range(4):
        platform.put({f"{n}.json": document(credit_request(f"c{n}"))})
        run = platform.run("ingest_objects")
        assert run.success
        runs.append(run.run_id)
    assert all(_files_of(platform, run_id) for run_id in runs)
    before = platform.published("FROM load_history ORDER BY ALL")

    retaining = platform.run("delete_old_runs")
    assert retaining.success
    assert set(platform.instance.get_run_ids()) == {*runs[2:], loading.run_id, retaining.run_id}
    assert [bool(_files_of(platform, run_id)) for run_id in runs] == [False, False, True, True]
    assert platform.published("FROM load_history ORDER BY ALL") == before

    platform.instance.report_run_failed(loading)
    assert platform.tick() is None
    platform.put({"4.json": document(credit_request("c4"))})
    after = platform.tick()
    assert after is not None
    assert after.success
    assert platform.published("SELECT count(*) FROM landing_table") == [(5,)]


def test_few_runs_are_all_kept(platform: Platform) -> None:
    assert platform.run("ingest_objects").success
    assert platform.run("delete_old_runs").success
    assert len(platform.instance.get_run_ids()) == 2
