"""Runs, commands and platforms at the same time: one after the other, or refused; never torn."""

from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from keycash_assets_tests.living_platform import (
    LivingPlatform,
    bare_environment,
    keycash,
    wait_for,
)
from keycash_assets_tests.platform import Platform, credit_request, document
from keycash_assets_tests.run_process import Order, RunProcesses

TOTALS = (
    "SELECT (SELECT count(*) FROM landing_table), "
    "(SELECT sum(credito_solicitado) FROM credit_per_day)"
)

CLICKED = ("landing_table", "credit_requests", "credit_per_day", "credit_per_day_changes")


def test_runs_of_all_kinds_at_once_take_turns(
    platform: Platform, run_processes: RunProcesses
) -> None:
    """A run, another run, the schedule's, a replay and a click in the UI, each in its process."""
    platform.put({f"{n}.json": document(credit_request(f"c{n}")) for n in range(5)})
    assert platform.tick() is not None
    platform.put({f"{n}.json": document(credit_request(f"c{n}", 200)) for n in range(3, 8)})
    keys = [platform.bucket.key_of(name) for name in ("0.json", "3.json")]
    replay = {"ops": {"landing_table": {"config": {"replay_keys": keys}}}}
    # It is loading while all others begin: without it they might follow one another by chance.
    first = run_processes.start(Order("ingest_objects", moment="before commit", hold=True))
    assert first.wait_for_moment()
    others = [
        run_processes.start(order)
        for order in (
            Order("ingest_objects"),
            Order("full_load"),
            Order("replay_objects", config=replay),
            Order(assets=CLICKED),
        )
    ]
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    wait_for(lambda: platform.instance.get_runs_count(started) == 5, "all at once")
    first.release()
    outcomes = [run.finish() for run in (first, *others)]
    assert [(outcome["success"], outcome["error"]) for outcome in outcomes] == [(True, None)] * 5
    assert platform.published(TOTALS) == [(8, Decimal("1300.00"))]
    assert platform.warehouse(TOTALS) == [(8, Decimal("1300.00"))]
    assert platform.tick() is None


def test_a_materialization_of_the_table_alone_is_taken_in_by_the_next_run(
    platform: Platform, run_processes: RunProcesses
) -> None:
    """Somebody may click on one asset only: its load must not be published half, nor forgotten."""
    platform.put({"a.json": document(credit_request("a"))})
    assert platform.tick() is not None
    platform.put({"b.json": document(credit_request("b"))})
    alone = run_processes.start(Order(assets=("landing_table",))).finish()
    assert alone["success"], alone["error"]
    assert platform.published(TOTALS) == [(1, Decimal("100.00"))]
    published_alone = run_processes.start(Order(assets=("published_snapshot",))).finish()
    assert "Materialize credit_per_day first" in published_alone["error"]
    assert platform.published(TOTALS) == [(1, Decimal("100.00"))]
    assert platform.tick() is not None
    assert platform.published(TOTALS) == [(2, Decimal("200.00"))]


def test_commands_that_read_work_while_a_run_holds_the_warehouse_and_its_death_stops_nothing(
    living: LivingPlatform, run_processes: RunProcesses
) -> None:
    """A dead run counted as running for ever: the sensor waited for it, and the pool was full."""
    ((day, total),) = living.published(
        "SELECT data_solicitada, credito_solicitado FROM credit_per_day ORDER BY ALL LIMIT 1"
    )
    order = Order("full_load", moment="before commit", hold=True)
    run = run_processes.start(order, bare_environment(living.home))
    assert run.wait_for_moment()
    living.put("waiting.json", document(credit_request("waiting", 9, "02/03/2032 10:00")))
    for command, expected in (
        (("status",), "Published"),
        (("explain", str(day)), f"{total:,.2f} BRL"),
        (("plan",), "waiting.json"),
    ):
        done = keycash(living.home, *command)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    assert run.kill()
    published = (
        "SELECT credito_solicitado FROM credit_per_day WHERE data_solicitada = DATE '2032-02-03'"
    )
    wait_for(lambda: living.published(published) == [(Decimal("9.00"),)], "published", 180)


@pytest.mark.parametrize("command", ["up", "run", "replay"])
def test_a_platform_on_the_warehouse_of_another_home_is_refused(
    living: LivingPlatform, tmp_path: Path, command: str
) -> None:
    """It would load another bucket into the same tables."""
    arguments = [command, "x.json"] if command == "replay" else [command]
    warehouse = living.home / "keycash.duckdb"
    refused = keycash(tmp_path / "home", *arguments, KEYCASH_WAREHOUSE=str(warehouse))
    assert refused.returncode == 1
    assert f"The living platform of {living.home} works on {warehouse}" in refused.stderr


def test_a_platform_on_the_snapshot_of_another_home_is_refused(
    living: LivingPlatform, tmp_path: Path
) -> None:
    """Each would publish over the other, and take the other's ledger for its own."""
    refused = keycash(tmp_path / "home", "up", KEYCASH_PUBLISHED=str(living.snapshot))
    assert refused.returncode == 1
    assert f"The living platform of {living.home} works on {living.snapshot}" in refused.stderr
