"""Each check fails when its property is broken; a blocking one keeps readers on what was."""

import threading

import dagster as dg
import pytest

from keycash_assets.backlog import find_unaccounted
from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS, find_offenders
from keycash_assets.loading import load_everything_new
from keycash_assets.warehouse import connect_to_write
from keycash_assets_tests.living_platform import wait_for
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


def test_an_object_that_the_load_lost_is_found(platform: Platform) -> None:
    """What a load listed and the ledger does not have was dropped in silence."""
    platform.put({"a.json": document(credit_request("c1"))})
    resources = platform.definitions.resources or {}
    with connect_to_write(resources["warehouse"].database) as connection:
        load_everything_new(connection, platform.bucket, "a run")
        platform.put({"arrives_later.json": document(credit_request("c2"))})
        assert find_unaccounted(connection, platform.bucket) == []
        load_everything_new(connection, platform.bucket, "another run")
        connection.execute("DELETE FROM object_ledger; DELETE FROM landing_table")
        platform.put({"arrives_later.json": document(credit_request("c3"))})
        lost = find_unaccounted(connection, platform.bucket)
    assert [version.key for version in lost] == [platform.bucket.key_of("a.json")]


def test_the_check_by_itself_finds_what_waits_in_the_bucket(platform: Platform) -> None:
    """Without a load before it there is nothing to compare with but the bucket."""
    platform.put({"a.json": document(credit_request("c1"))})
    assert platform.tick() is not None
    resources = platform.definitions.resources or {}
    with resources["warehouse"].get_connection() as connection:
        assert find_unaccounted(connection, platform.bucket) == []
    platform.put({"b.json": document(credit_request("c2"))})
    with resources["warehouse"].get_connection() as connection:
        waiting = find_unaccounted(connection, platform.bucket)
    assert [version.key for version in waiting] == [platform.bucket.key_of("b.json")]


@pytest.mark.parametrize(
    "arriving",
    [
        {"b.json": document(credit_request("c1", 200, "01/03/2022 10:00"))},
        {"a.json": document(credit_request("c2"))},
    ],
    ids=["a later request", "a request that leaves"],
)
def test_an_update_that_forgets_a_client_is_found(
    platform: Platform, arriving: dict[str, bytes]
) -> None:
    """The runs that look only at what loads changed would publish what they came to check."""
    platform.put({"a.json": document(credit_request("c1"), credit_request("c2"))})
    assert platform.tick() is not None
    (exact,) = (check for check in METRIC_CHECKS if check.name == "credit_per_day_is_exact")
    resources = platform.definitions.resources or {}
    with connect_to_write(resources["warehouse"].database) as connection:
        assert find_offenders(connection, exact, everything=False).first == []
        platform.put(arriving)
        load_everything_new(connection, platform.bucket, "a run")
        connection.execute("UPDATE load_history SET credit_per_day_at = now()")
        found = find_offenders(connection, exact, everything=False).first
        assert found == find_offenders(connection, exact, everything=True).first != []


@pytest.mark.parametrize("records", [2, 61, 62, 63, 64, 65, 200])
def test_a_record_that_stands_in_the_place_of_another_is_found(
    platform: Platform, records: int
) -> None:
    """As many rows as the ledger counts, and yet one record twice and another not at all."""
    platform.put(
        {
            "a.json": document(*(credit_request(f"c{n}") for n in range(records))),
            "b.json": document(*(credit_request(f"d{n}") for n in range(records))),
        }
    )
    (once,) = (check for check in LANDING_CHECKS if check.name == "records_are_loaded_once")
    resources = platform.definitions.resources or {}
    with connect_to_write(resources["warehouse"].database) as connection:
        load_everything_new(connection, platform.bucket, "a run")
        assert find_offenders(connection, once, everything=False).first == []
        assert find_offenders(connection, once, everything=True).first == []
        for moved in {0, (records - 1) // 2, records - 2}:
            connection.execute("BEGIN")
            connection.execute(
                "UPDATE landing_table SET record_index = $moved "
                "WHERE record_index = $last AND object_key LIKE '%a.json'",
                {"moved": moved, "last": records - 1},
            )
            found = find_offenders(connection, once, everything=False).first
            assert found == [(platform.bucket.key_of("a.json"), moved, 2)]
            assert found == find_offenders(connection, once, everything=True).first
            connection.execute("ROLLBACK")


@pytest.mark.parametrize("job", ["ingest_objects", "full_load"])
def test_a_bucket_into_which_objects_keep_coming_is_loaded_and_published(
    platform: Platform, job: str
) -> None:
    """An object that comes after the listing, in the same second, would be taken for lost."""
    platform.put({"0.json": document(credit_request("c0"))})
    put_during_the_run = 0
    over = threading.Event()

    def keep_putting() -> None:
        nonlocal put_during_the_run
        while not over.wait(0.05):
            put_during_the_run += 1
            name = f"{put_during_the_run}.json"
            platform.put({name: document(credit_request(f"c{put_during_the_run}"))})

    writer = threading.Thread(target=keep_putting)
    writer.start()
    try:
        wait_for(lambda: put_during_the_run > 0, "objects coming")
        run = platform.run(job)
    finally:
        over.set()
        writer.join()
    assert _failed(run) == set()
    assert run.success
    assert platform.run("ingest_objects").success
    assert platform.published("SELECT count(*) FROM landing_table") == [(put_during_the_run + 1,)]


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
