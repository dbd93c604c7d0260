"""`keycash up`: files that arrive become published numbers with nobody touching anything."""

import json
import signal
import subprocess
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from keycash_assets.warehouse import connect_to_write
from keycash_assets_tests.living_platform import (
    KEYCASH,
    STOP_SECONDS,
    LivingPlatform,
    bare_environment,
    processes_of,
    wait_for,
)
from keycash_assets_tests.platform import credit_request, document

SAMPLE_TOTAL = [(31, Decimal("58640025.49"))]
TOTAL = (
    "SELECT count(*), sum(credito_solicitado) FROM credit_per_day "
    "WHERE data_solicitada < DATE '2023-01-01'"
)


def _dagster(platform: LivingPlatform, query: str) -> Any:
    address = json.loads((platform.home / "addresses.json").read_text())["Dagster"]
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)["data"]


def test_each_file_of_the_source_is_a_materialized_partition(living: LivingPlatform) -> None:
    query = (
        '{assetNodeOrError(assetKey: {path: ["landing_table"]}) {... on AssetNode {'
        "partitionStats {numPartitions numMaterialized numFailed}}}}"
    )
    stats = _dagster(living, query)["assetNodeOrError"]["partitionStats"]
    assert stats["numMaterialized"] >= 50
    assert stats["numFailed"] == 0


def test_the_logs_of_the_servers_stay_on_this_machine(living: LivingPlatform) -> None:
    """Dagster's web server uploads and deletes what it finds in DAGSTER_HOME/logs."""
    logs = {path.name for path in (living.home / "logs").iterdir() if path.stat().st_size}
    assert {"dagster_web_server.log", "dagster_daemon.log"} <= logs
    assert [*(living.home / "dagster" / "logs").glob("*")] == []
    (webserver,) = (
        process
        for process in processes_of(living.home)
        if b"dagster-webserver" in Path(f"/proc/{process}/cmdline").read_bytes()
    )
    environment = Path(f"/proc/{webserver}/environ").read_bytes().split(b"\0")
    assert b"DAGSTER_DISABLE_TELEMETRY=1" in environment


def test_sensor_and_schedules_run_without_being_switched_on(living: LivingPlatform) -> None:
    query = (
        "{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {"
        "... on RepositoryLocation {repositories {sensors {name sensorState {status}} "
        "schedules {name executionTimezone cronSchedule scheduleState {status}}}}}}}}}"
    )
    (entry,) = _dagster(living, query)["workspaceOrError"]["locationEntries"]
    (repository,) = entry["locationOrLoadError"]["repositories"]
    states = {sensor["name"]: sensor["sensorState"]["status"] for sensor in repository["sensors"]}
    assert states["s3_object_sensor"] == "RUNNING"
    assert {
        (schedule["name"], schedule["executionTimezone"], schedule["cronSchedule"]): schedule[
            "scheduleState"
        ]["status"]
        for schedule in repository["schedules"]
    } == {
        ("daily_full_load", "America/Sao_Paulo", "0 6 * * *"): "RUNNING",
        ("daily_retention", "America/Sao_Paulo", "30 5 * * *"): "RUNNING",
    }


def test_a_file_goes_through_its_life_with_nobody_touching_anything(
    living: LivingPlatform,
) -> None:
    """Put, overwritten, put again, broken, mended: each step is seen by a reader."""
    day = "SELECT credito_solicitado FROM credit_per_day WHERE data_solicitada = DATE '2031-05-17'"
    state = (
        "SELECT status FROM object_ledger WHERE object_key LIKE '%/life.json' "
        "AND status <> 'replaced'"
    )

    def put(amount: int, *, broken: bool = False) -> None:
        content = document(credit_request("life", amount, "05/17/2031 10:00"))
        living.put("life.json", content[:-5] if broken else content)

    put(100)
    living.wait_until_published(day, [(Decimal("100.00"),)])
    put(250)
    living.wait_until_published(day, [(Decimal("250.00"),)])
    assert living.published(
        "SELECT old_credito_solicitado, new_credito_solicitado FROM credit_per_day_changes "
        "WHERE data_solicitada = DATE '2031-05-17' ORDER BY changed_at"
    ) == [(None, Decimal("100.00")), (Decimal("100.00"), Decimal("250.00"))]
    put(250)
    living.wait_until_published(state, [("unchanged",)])
    put(250, broken=True)
    living.put("neighbour.json", document(credit_request("neighbour", 7, "05/18/2031 10:00")))
    living.wait_until_published(state, [("quarantined",)])
    living.wait_until_published(
        "SELECT credito_solicitado FROM credit_per_day WHERE data_solicitada = DATE '2031-05-18'",
        [(Decimal("7.00"),)],
    )
    assert living.published(day) == []
    put(300)
    living.wait_until_published(day, [(Decimal("300.00"),)])
    assert living.published("FROM quarantine") == []


def _launch_full_load(platform: LivingPlatform) -> str:
    (location,) = _dagster(
        platform,
        "{repositoriesOrError {... on RepositoryConnection {nodes {name location {name}}}}}",
    )["repositoriesOrError"]["nodes"]
    answer = _dagster(
        platform,
        "mutation {launchRun(executionParams: {runConfigData: {}, selector: {jobName: "
        f'"full_load", repositoryName: "{location["name"]}", repositoryLocationName: '
        f'"{location["location"]["name"]}"}}}}) {{__typename ... on LaunchRunSuccess '
        "{run {runId}} ... on PythonError {message}}}",
    )["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def _wait_for_full_load(platform: LivingPlatform, run: str) -> None:
    platform.wait_until_published(
        "SELECT kind, len(differing_objects), len(differing_days) FROM load_history "
        f"WHERE run_id = '{run}'",
        [("full", 0, 0)],
    )


def _status(platform: LivingPlatform, run: str) -> str:
    query = f'{{runOrError(runId: "{run}") {{... on Run {{status}}}}}}'
    return str(_dagster(platform, query)["runOrError"]["status"])


def _process_of(platform: LivingPlatform, run: str) -> int | None:
    """The process that a run says it runs in, as the UI shows it."""
    query = (
        f'{{logsForRun(runId: "{run}") {{... on EventConnection {{events {{... on EngineEvent '
        "{metadataEntries {label ... on TextMetadataEntry {text}}}}}}}"
    )
    for event in _dagster(platform, query)["logsForRun"]["events"]:
        for entry in event.get("metadataEntries", ()):
            if entry["label"] == "pid":
                return int(entry["text"])
    return None


def test_the_job_of_the_schedule_rebuilds_everything(living: LivingPlatform) -> None:
    """A job whose settings are left out would load what is new, and call it a full load."""
    _wait_for_full_load(living, _launch_full_load(living))


def test_a_run_ends_when_somebody_asks_for_it(living: LivingPlatform) -> None:
    """A button that does nothing would leave a run that waits, and holds up all others."""
    with connect_to_write(str(living.home / "keycash.duckdb")):
        run = _launch_full_load(living)
        wait_for(lambda: _status(living, run) == "STARTED", "started")
        answer = _dagster(
            living,
            f'mutation {{terminateRun(runId: "{run}") {{__typename ... on TerminateRunFailure '
            "{message}}}",
        )["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer
        wait_for(lambda: _status(living, run) == "CANCELED", "canceled", 30)


def test_a_killed_run_fails_and_holds_up_no_other(living: LivingPlatform) -> None:
    """Memory runs out, and the system kills a run, or the process that runs are forked from.

    A run that counts as running for ever would keep its place in the pool.
    """
    with connect_to_write(str(living.home / "keycash.duckdb")):
        run = _launch_full_load(living)
        wait_for(lambda: _status(living, run) == "STARTED", "started")
        process = psutil.Process(_process_of(living, run))
        fork_server = process.parent()
        assert fork_server is not None
        process.kill()
        wait_for(lambda: _status(living, run) == "FAILURE", "failed")
    _wait_for_full_load(living, _launch_full_load(living))
    fork_server.kill()
    _wait_for_full_load(living, _launch_full_load(living))


def test_a_second_platform_on_the_same_home_is_refused(living: LivingPlatform) -> None:
    """Two of them would fight for the warehouse."""
    second = subprocess.run(
        [KEYCASH, "up"],
        env=bare_environment(living.home),
        cwd=living.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode != 0
    assert "is up already" in second.stderr


def test_status_and_plan_work_beside_the_living_platform(living: LivingPlatform) -> None:
    for command, expected in (("status", "Dagster http://127.0.0.1:"), ("plan", "next tick")):
        done = subprocess.run(
            [KEYCASH, command],
            env=bare_environment(living.home),
            cwd=living.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def test_a_stop_leaves_no_process_and_a_restart_finds_everything(tmp_path: Path) -> None:
    """Stopped by the system and killed in the middle of a load, and stopped by Ctrl-C.

    Servers left behind, or a run that counts as running for ever, would keep it from starting.
    """
    home = tmp_path / "home"

    def put(platform: LivingPlatform, number: int) -> None:
        content = document(credit_request("later", number, "05/19/2031 10:00"))
        platform.put(f"later-{number}.json", content)

    def wait_until_loaded(platform: LivingPlatform, objects: int) -> None:
        platform.wait_until_published(
            "SELECT count(*) FROM object_ledger WHERE status = 'loaded'", [(objects,)]
        )

    def wait_until_loading(platform: LivingPlatform) -> None:
        loading = "{runsOrError(filter: {statuses: [STARTED]}) {... on Runs {count}}}"
        wait_for(lambda: _dagster(platform, loading)["runsOrError"]["count"] > 0, "loading")

    def stop(platform: LivingPlatform, number: signal.Signals) -> None:
        assert len(processes_of(home)) > 3
        assert platform.stop(number) < STOP_SECONDS
        assert platform.process.returncode == 0
        wait_for(lambda: processes_of(home) == [], "no process left", 5)

    with LivingPlatform.start(home, {}) as platform:
        platform.wait_until_published(TOTAL, SAMPLE_TOTAL)
        ((before,),) = platform.published("SELECT count(*) FROM publications")
        with connect_to_write(str(home / "keycash.duckdb")):  # so that the load waits
            put(platform, 1)
            wait_until_loading(platform)
            stop(platform, signal.SIGTERM)
    with LivingPlatform.start(home, {}) as platform:
        assert platform.published(TOTAL) == SAMPLE_TOTAL
        wait_until_loaded(platform, 51)
        ((after,),) = platform.published("SELECT count(*) FROM publications")
        assert after == before + 1, "the restart loaded what was loaded"
        put(platform, 2)
        wait_until_loading(platform)
        platform.stop(signal.SIGKILL)
    with LivingPlatform.start(home, {}) as platform:
        wait_until_loaded(platform, 52)
        put(platform, 3)
        wait_until_loaded(platform, 53)
        stop(platform, signal.SIGINT)
