"""Each check fails when its property is broken; a blocking one keeps readers on what was."""

import dagster as dg
import pytest

from keycash_assets.checks import unaccounted_objects
from keycash_assets_tests.platform import Platform, credit_request, document

BLOCKING = {
    "objects_are_accounted_for": "DELETE FROM landing_table WHERE record_index = 1",
    "records_are_loaded_once": "INSERT INTO landing_table SELECT * FROM landing_table LIMIT 1",
    "overwritten_objects_are_replaced": "UPDATE landing_table SET object_etag = 'older'",
    "credit_per_day_is_exact": "UPDATE credit_per_day SET credito_solicitado = 1",
}
WARNINGS = {
    "records_have_no_problems": credit_request("c9", "abc"),
    "id_and_name_agree": {**credit_request("c1"), "name": "SOMEBODY ELSE"},
    "days_are_not_in_the_future": credit_request("c9", 1, "01/01/2199 10:00"),
    "fields_are_known": credit_request("c9", novo_campo=1),
}


def _failed(run: dg.ExecuteInProcessResult) -> set[str]:
    return {check.check_name for check in run.get_asset_check_evaluations() if not check.passed}


def test_good_data_pass_every_check(platform: Platform) -> None:
    platform.put({"a.json": document(credit_request("c1"), credit_request("c2"))})
    run = platform.tick()
    assert run is not None
    assert len(run.get_asset_check_evaluations()) == len(BLOCKING) + len(WARNINGS) + 1
    assert _failed(run) == set()


def test_an_unreadable_line_that_left_the_quarantine_is_missed(platform: Platform) -> None:
    """Elements and unreadable lines of an object are its rows: one less was dropped in silence."""
    platform.put({"a.ndjson": b'{"id": "c1"}\n{\n{"id": "c2"}\n{'})
    run = platform.tick()
    assert run is not None
    assert run.success
    platform.damage("DELETE FROM quarantine WHERE line = 4")
    again = platform.run("ingest_objects")
    assert not again.success
    assert "objects_are_accounted_for" in _failed(again)


@pytest.mark.parametrize("name", BLOCKING)
def test_a_wrong_number_is_not_published(platform: Platform, name: str) -> None:
    platform.put({"a.json": document(credit_request("c1"), credit_request("c2"))})
    assert platform.tick() is not None
    before = platform.settings.published.read_bytes()
    platform.damage(BLOCKING[name])
    run = platform.run("ingest_objects")
    assert not run.success
    assert name in _failed(run)
    assert platform.settings.published.read_bytes() == before


def test_an_object_that_no_load_took_is_found(platform: Platform) -> None:
    """The listing is compared as well: what the ledger never heard of is missing from it."""
    platform.put({"a.json": document(credit_request("c1"))})
    assert platform.tick() is not None
    platform.wait_for_another_second()
    platform.damage(
        "DELETE FROM object_ledger; DELETE FROM landing_table; DELETE FROM latest_requests; "
        "DELETE FROM credit_per_day; INSERT INTO load_history (run_id, kind, started_at) "
        "VALUES ('later', 'bulk', now())"
    )
    resources = platform.definitions.resources or {}
    with resources["warehouse"].get_connection() as connection:
        missing = unaccounted_objects(connection, platform.bucket, [], "later")
    assert [row[0] for row in missing] == [platform.bucket.key_of("a.json")]


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_only_odd_is_published_and_said(platform: Platform, name: str) -> None:
    platform.put({"a.json": document(credit_request("c1"), WARNINGS[name])})
    run = platform.tick()
    assert run is not None
    assert run.success
    assert _failed(run) == {name}
    (check,) = (c for c in run.get_asset_check_evaluations() if c.check_name == name)
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert platform.published("SELECT count(*) FROM landing_table") == [(2,)]
