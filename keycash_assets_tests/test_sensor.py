"""The sensor: new is what the ledger has not seen; what it cannot know it says."""

import itertools
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from keycash_assets import bucket as bucket_module
from keycash_assets import sensors
from keycash_assets.backlog import find_backlog
from keycash_assets.core import objects
from keycash_assets.core.objects import MAX_KEYS_PER_RUN, MAX_PARTITIONS_PER_RUN
from keycash_assets.definitions import build_definitions
from keycash_assets.settings import Settings
from keycash_assets.warehouse import published_connection
from keycash_assets_tests.platform import Platform, credit_request, document


def _materialized(platform: Platform) -> set[str]:
    return platform.instance.get_materialized_partitions(dg.AssetKey("landing_table"))


def test_all_objects_of_a_tick_load_in_one_run_with_an_event_each(platform: Platform) -> None:
    """A run per file would cost seconds of start-up each."""
    platform.put({f"{n}.json": document(credit_request(f"c{n}")) for n in range(3)})
    run = platform.tick()
    assert run is not None
    assert run.success
    assert _materialized(platform) == {platform.bucket.key_of(f"{n}.json") for n in range(3)}
    events = run.get_asset_materialization_events()
    assert sum(event.asset_key == dg.AssetKey("landing_table") for event in events) == 3
    assert platform.published("SELECT count(*) FROM landing_table") == [(3,)]


def test_nothing_new_launches_nothing(platform: Platform) -> None:
    platform.put({"a.json": document(credit_request())})
    assert platform.tick() is not None
    assert platform.evaluate_sensor().skip_message == "Nothing new among 1 objects."


def test_an_empty_bucket_launches_nothing(platform: Platform) -> None:
    assert platform.evaluate_sensor().skip_message == "Nothing new among 0 objects."


def test_an_object_that_arrives_again_with_others_stays_in_one_range(platform: Platform) -> None:
    """A range follows the order in which partitions were added: it must not take in others."""
    platform.put({f"{n}.json": document(credit_request(f"c{n}")) for n in range(4)})
    assert platform.tick() is not None
    platform.put({name: document(credit_request("new")) for name in ("1.json", "9.json")})
    run = platform.tick()
    assert run is not None
    assert run.success
    loaded = {
        event.partition
        for event in run.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("landing_table")
    }
    assert loaded == {platform.bucket.key_of(name) for name in ("1.json", "9.json")}


def test_dagster_keeps_the_most_recent_partitions_only(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster slows down with tens of thousands of them; all objects are loaded all the same."""
    monkeypatch.setattr(objects, "MAX_RECENT_PARTITIONS", 4)
    for names in (range(6), range(6, 9)):
        platform.put({f"{n}.json": document(credit_request(f"c{n}")) for n in names})
        run = platform.tick()
        assert run is not None
        assert run.success
    # Of the six before, all of which their run needed, the last one stays.
    keys = platform.instance.get_dynamic_partitions("objects")
    assert len(keys) == 4
    assert {platform.bucket.key_of(f"{n}.json") for n in (6, 7, 8)} == set(keys[1:])
    assert platform.published("SELECT count(*) FROM landing_table") == [(9,)]
    assert platform.tick() is None


@pytest.mark.parametrize("max_keys", [MAX_KEYS_PER_RUN, 1])
def test_a_large_backlog_loads_by_its_keys_or_in_bulk_with_one_event(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, max_keys: int
) -> None:
    """An event per object costs Dagster tens of milliseconds: 100,000 of them, an hour."""
    monkeypatch.setattr(sensors, "MAX_KEYS_PER_RUN", max_keys)
    count = MAX_PARTITIONS_PER_RUN + 1
    platform.put({f"{n}.json": document(credit_request(f"c{n}")) for n in range(count)})
    run = platform.tick()
    assert run is not None
    assert run.success
    assert platform.instance.get_dynamic_partitions("objects") == []
    events = run.get_asset_materialization_events()
    assert sum(event.asset_key == dg.AssetKey("landing_table") for event in events) == 1
    assert platform.published("SELECT count(*) FROM object_ledger WHERE status = 'loaded'") == [
        (count,)
    ]
    assert platform.tick() is None


def test_an_object_key_that_dagster_refuses_as_a_partition_loads_all_the_same(
    platform: Platform,
) -> None:
    platform.put({"a...b.json": document(credit_request())})
    run = platform.tick()
    assert run is not None
    assert run.success
    assert platform.published("SELECT count(*) FROM landing_table") == [(1,)]


class _Clock:
    """A clock that passes while the sensor pauses, and in each of its looks; then things happen."""

    def __init__(self, during_pause: Callable[[], object], look_seconds: float = 0.01) -> None:
        self.pauses: list[float] = []
        self._now = 0.0
        self._during_pause = during_pause
        self._look_seconds = look_seconds

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        self._now += self._look_seconds
        return self._now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._now += seconds
        self._during_pause()


def _loaded(platform: Platform) -> set[str]:
    return {name for (name,) in platform.published("SELECT id FROM landing_table")}


def test_what_is_put_while_a_tick_watches_loads_with_that_tick_and_together(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for the next tick otherwise, and half of an upload loaded in a run of its own."""
    names = iter(("a", "b", "c"))

    def put_another() -> None:
        if (name := next(names, None)) is not None:
            platform.put({f"{name}.json": document(credit_request(name))})

    clock = _Clock(put_another)
    monkeypatch.setattr(sensors, "time", clock)
    platform.watch_seconds = sensors.WATCH_SECONDS
    assert platform.tick() is not None
    assert _loaded(platform) == {"a", "b", "c"}
    settling = sensors.SETTLING_SECONDS
    assert clock.pauses == [sensors.PAUSE_SECONDS, settling, settling, settling]


def test_a_tick_waits_for_a_run_that_is_about_to_end(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put beside a run waited for another tick otherwise: five seconds of doing nothing."""
    run = create_run_for_test(
        platform.instance, job_name="ingest_objects", status=dg.DagsterRunStatus.STARTED
    )
    platform.put({"a.json": document(credit_request("a"))})
    clock = _Clock(lambda: platform.instance.report_run_failed(run))
    monkeypatch.setattr(sensors, "time", clock)
    platform.watch_seconds = sensors.WATCH_SECONDS
    assert platform.tick() is not None
    assert _loaded(platform) == {"a"}


def test_a_stream_of_objects_does_not_keep_a_tick_from_loading(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = map(str, itertools.count())

    def put_another() -> None:
        name = next(names)
        platform.put({f"{name}.json": document(credit_request(name))})

    clock = _Clock(put_another)
    monkeypatch.setattr(sensors, "time", clock)
    platform.watch_seconds = sensors.WATCH_SECONDS
    assert platform.tick() is not None
    assert sum(clock.pauses) <= sensors.WATCH_SECONDS
    assert _loaded(platform) == {str(number) for number in range(len(clock.pauses))}


def test_a_bucket_that_takes_long_to_list_is_listed_once_a_tick(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing requests cost money, and the object store's time."""
    clock = _Clock(lambda: None, look_seconds=sensors.CHEAP_SECONDS + 0.01)
    monkeypatch.setattr(sensors, "time", clock)
    platform.watch_seconds = sensors.WATCH_SECONDS
    assert platform.tick() is None
    assert clock.pauses == []


def test_an_unreadable_bucket_is_not_taken_for_an_empty_one(
    environment: dict[str, str],
) -> None:
    environment["KEYCASH_OBJECTS_URL"] = "s3://keycash-is-not-there/prefix"
    settings = Settings.from_environment(environment)
    bucket = bucket_module.Bucket("s3://keycash-is-not-there/prefix", environment)
    with Platform.start(settings, bucket) as platform:
        result = platform.evaluate_sensor()
    assert not result.run_requests
    assert "Not known whether anything is new: Cannot list" in str(result.skip_message)


def test_an_unreadable_snapshot_is_not_taken_for_an_empty_ledger(platform: Platform) -> None:
    """Otherwise everything would be taken for new."""
    platform.put({"a.json": document(credit_request())})
    platform.settings.published.parent.mkdir(parents=True)
    platform.settings.published.write_bytes(b"not a database" * 1_000)
    result = platform.evaluate_sensor()
    assert not result.run_requests
    assert "cannot be read" in str(result.skip_message)


@pytest.mark.parametrize("job", ["ingest_objects", "full_load", "replay_objects"])
def test_a_tick_waits_for_the_run_before_it(platform: Platform, job: str) -> None:
    """Until a run has published, its batch still looks new: it would be launched again."""
    platform.put({"a.json": document(credit_request())})
    run = create_run_for_test(platform.instance, job_name=job, status=dg.DagsterRunStatus.STARTED)
    assert run.run_id in str(platform.evaluate_sensor().skip_message)


def test_a_batch_whose_run_failed_is_tried_again_later_under_another_run_key(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster launches a run key once; and without a pause a broken platform would spin."""
    platform.put({"a.json": document(credit_request())})
    warehouse = Path(platform.settings.warehouse)
    warehouse.write_bytes(b"not a database" * 1_000)
    first = platform.evaluate_sensor()
    assert first.run_requests
    assert not platform.run("ingest_objects", tags=dict(first.run_requests[0].tags)).success
    assert "tried again at" in str(platform.evaluate_sensor().skip_message)

    warehouse.unlink()
    past = datetime(2000, 1, 1, tzinfo=timezone.utc)
    monkeypatch.setattr(sensors, "retry_at", lambda last, attempts: past)
    second = platform.evaluate_sensor()
    assert second.run_requests
    assert second.run_requests[0].run_key != first.run_requests[0].run_key
    assert platform.run("ingest_objects", tags=dict(second.run_requests[0].tags)).success
    assert platform.published("SELECT count(*) FROM landing_table") == [(1,)]


def test_a_batch_that_failed_many_times_is_still_tried_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted up to a limit, its run key would stay the same, and Dagster launch it no more."""
    platform.put({"a.json": document(credit_request())})
    past = datetime(2000, 1, 1, tzinfo=timezone.utc)
    monkeypatch.setattr(sensors, "retry_at", lambda last, attempts: past)
    run_keys = set()
    for _ in range(25):
        requests = platform.evaluate_sensor().run_requests
        assert requests
        run_keys.add(requests[0].run_key)
        create_run_for_test(
            platform.instance,
            job_name="ingest_objects",
            status=dg.DagsterRunStatus.FAILURE,
            tags=dict(requests[0].tags),
        )
    assert len(run_keys) == 25


def test_a_listing_that_runs_out_of_time_goes_on_where_it_stopped(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores differ in the order of their keys: none may fall between two ticks."""
    names = [f"{folder}{n:02d}.json" for folder in ("a/", "a-b/", "a", "é/") for n in range(10)]
    platform.put({name: document(credit_request(name)) for name in names})
    monkeypatch.setattr(bucket_module, "PAGE_OBJECTS", 7)
    found: list[str] = []
    after: str | None = None
    with published_connection(platform.settings) as connection:
        for _ in names:
            backlog = find_backlog(connection, platform.bucket, after=after, seconds=-1)
            found += [version.key for version in backlog.new]
            after = backlog.resume_after
            if after is None:
                break
    assert sorted(found) == sorted(map(platform.bucket.key_of, names))
    assert len(found) == len(set(found))


def test_after_a_listing_in_several_ticks_the_next_one_starts_anew(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster keeps the cursor where a tick gives an empty one: what lies before is never seen."""
    monkeypatch.setattr(sensors, "LISTING_SECONDS", -1.0)
    platform.put({"b.json": document(credit_request())})
    platform.evaluate_sensor()
    platform.put({"a.json": document(credit_request())})
    for _ in range(3):
        platform.evaluate_sensor()
    assert platform.bucket.key_of("a.json") in platform.instance.get_dynamic_partitions("objects")


def test_a_listing_goes_on_while_what_it_found_waits_to_be_tried_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch that fails would keep all that is listed after it from being seen."""
    monkeypatch.setattr(sensors, "LISTING_SECONDS", -1.0)
    monkeypatch.setattr(bucket_module, "PAGE_OBJECTS", 1)
    platform.put({name: document(credit_request(name)) for name in ("a.json", "b.json")})
    first = platform.evaluate_sensor()
    assert first.run_requests
    create_run_for_test(
        platform.instance,
        job_name="ingest_objects",
        status=dg.DagsterRunStatus.FAILURE,
        tags=dict(first.run_requests[0].tags),
    )
    soon = datetime.now(timezone.utc) + timedelta(hours=1)
    monkeypatch.setattr(sensors, "retry_at", lambda last, attempts: soon)
    platform.cursor = None
    assert "tried again at" in str(platform.evaluate_sensor().skip_message)
    second = platform.evaluate_sensor()
    assert second.run_requests
    assert platform.instance.get_dynamic_partitions("objects")[-1] == platform.bucket.key_of(
        "b.json"
    )


def test_the_repeated_request_of_a_loaded_batch_is_harmless(platform: Platform) -> None:
    """A sensor that reads an older snapshot asks again for what was loaded meanwhile."""
    platform.put({"a.json": document(credit_request())})
    result = platform.evaluate_sensor()
    assert result.run_requests
    tags = dict(result.run_requests[0].tags)
    assert platform.run("ingest_objects", tags=tags).success
    before = platform.published("FROM object_ledger"), platform.published("FROM landing_table")
    assert platform.run("ingest_objects", tags=tags).success
    assert (platform.published("FROM object_ledger"), platform.published("FROM landing_table")) == (
        before
    )


def test_the_sensor_never_opens_the_warehouse_that_runs_write(platform: Platform) -> None:
    """It would take the writer's lock, or fail because of it."""
    resources = build_definitions(platform.settings).resources or {}
    with resources["published"].get_connection() as connection:
        assert connection.execute("FROM object_ledger").fetchall() == []
    assert not Path(platform.settings.warehouse).exists()
