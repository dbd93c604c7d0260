"""Event-driven mode: lost, doubled and shuffled events end in what a listing alone gives."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from keycash_assets import event_queue, sensors
from keycash_assets.bucket import Bucket
from keycash_assets.commands.status import status
from keycash_assets.core.objects import MAX_PARTITIONS_PER_RUN, ListingProgress
from keycash_assets.definitions import build_definitions
from keycash_assets.errors import ObjectStoreError, SettingsError
from keycash_assets.event_queue import EventQueue
from keycash_assets.reading import ENDS_IN_A_SLASH, NOT_TO_BE_ASKED_FOR
from keycash_assets.settings import Settings
from keycash_assets_tests.core.test_events import POISON
from keycash_assets_tests.event_store import PREFIX, EventStore
from keycash_assets_tests.living_platform import wait_for
from keycash_assets_tests.memory_bucket import MemoryBucket
from keycash_assets_tests.platform import Platform, Row, credit_request, document


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no test is about is not waited for."""
    monkeypatch.setattr(sensors, "WAIT_SECONDS", 1)
    monkeypatch.setattr(event_queue, "SETTLE_SECONDS", 0)


@pytest.fixture
def without_listings() -> Iterator[pytest.MonkeyPatch]:
    """To be undone where a test lists after all."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def by_events(
    event_platform: Platform, event_store: EventStore, without_listings: pytest.MonkeyPatch
) -> Platform:
    """The platform after its first listing; from now on a listing, by whomever, fails the test."""
    event_store.take(1)  # S3's test event
    assert event_platform.evaluate_sensor().skip_message == "Nothing new among 0 objects."

    def refused(*arguments: object) -> None:
        raise ObjectStoreError("the bucket was listed")

    without_listings.setattr(Bucket, "pages", refused)
    return event_platform


def _tables(platform: Platform) -> list[list[Row]]:
    """What the platform makes of the bucket, but for when and by which run."""
    return [
        platform.published(query)
        for query in (
            "SELECT * EXCLUDE (loaded_at, run_id) FROM landing_table ORDER BY ALL",
            "FROM credit_per_day ORDER BY ALL",
            "SELECT object_key, object_etag, status, records FROM object_ledger "
            "WHERE status <> 'replaced' ORDER BY ALL",
            "SELECT object_key, line, reason FROM quarantine ORDER BY ALL",
        )
    ]


def _tables_by_listing(platform: Platform, home: Path) -> list[list[Row]]:
    """What a platform without a queue makes of the same bucket."""
    environment = {"KEYCASH_HOME": str(home), "KEYCASH_OBJECTS_URL": platform.bucket.url}
    with Platform.start(Settings.from_environment(environment), platform.bucket) as listing:
        assert listing.run("ingest_objects").success
        return _tables(listing)


def _event(store: EventStore, name: str) -> str:
    event = {"bucket": {"name": store.bucket}, "object": {"key": f"{PREFIX}/{name}"}}
    return json.dumps({"Records": [{"s3": event}]})


def _tick_until_confirmed(platform: Platform, store: EventStore) -> None:
    """Tick and run until the queue is empty: what every message told of is in the ledger."""

    def is_empty() -> bool:
        platform.tick()
        return store.depth() == (0, 0)

    wait_for(is_empty, "every message is confirmed", 30)


def test_an_object_is_loaded_because_of_its_event_and_without_a_listing(
    by_events: Platform, event_store: EventStore
) -> None:
    by_events.put({"a b+é.json": document(credit_request())})
    event_store.wait_for_waiting(1)
    run = by_events.tick()
    assert run is not None
    assert run.success
    assert by_events.published("SELECT object_key FROM landing_table") == [
        (f"{PREFIX}/a b+é.json",)
    ]


def test_objects_beyond_the_partitions_of_a_run_are_loaded_without_a_listing_too(
    by_events: Platform, event_store: EventStore
) -> None:
    """A run that lists ten million objects takes half an hour, in which nothing else loads."""
    count = MAX_PARTITIONS_PER_RUN + 1
    by_events.put({f"{n}.json": document(credit_request(f"c{n}")) for n in range(count)})
    event_store.wait_for_waiting(count)
    run = by_events.tick()
    assert run is not None
    assert run.success
    assert by_events.published("SELECT count(*) FROM landing_table") == [(count,)]


def test_more_events_than_a_run_takes_are_left_to_the_next_ticks(
    by_events: Platform, event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many keys as somebody puts into messages would outlast the tick, again and again."""
    monkeypatch.setattr(sensors, "MAX_KEYS_PER_RUN", 3)
    monkeypatch.setattr(event_queue, "HELD_SECONDS", 1)
    by_events.put({f"{n}.json": document(credit_request(f"c{n}")) for n in range(12)})
    first, *_ = bodies = event_store.take(12)
    (record,) = json.loads(first)["Records"]
    of_many = [
        {**record, "s3": {**record["s3"], "object": {"key": f"{PREFIX}/{n}.json"}}}
        for n in range(1, 8)
    ]
    event_store.send([json.dumps({"Records": of_many}), *bodies[8:], first])
    sizes = []

    def is_confirmed() -> bool:
        if run := by_events.tick():
            assert run.success
            sizes.append(by_events.published("SELECT count(*) FROM landing_table")[0][0])
        return event_store.depth() == (0, 0)

    wait_for(is_confirmed, "every message is confirmed", 60)
    assert sizes[-1] == 12
    assert max(after - before for before, after in pairwise([0, *sizes])) == 3


def test_without_events_a_tick_neither_lists_nor_reads_the_snapshot(by_events: Platform) -> None:
    """With millions of objects that would be what a tick costs."""
    by_events.settings.published.parent.mkdir(parents=True, exist_ok=True)
    by_events.settings.published.write_bytes(b"not a database" * 1_000)
    assert by_events.evaluate_sensor().skip_message == "Nothing new in 0 events."


def test_doubled_shuffled_and_late_events_give_what_a_listing_gives(
    by_events: Platform,
    event_store: EventStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    without_listings: pytest.MonkeyPatch,
) -> None:
    """Events of overwritten and deleted objects, too, in any order and some of them much later."""
    chance = random.Random(5)  # noqa: S311  the same every time
    for n in range(6):
        by_events.put({f"{n}.json": document(credit_request(f"c{n}", 100 + n))})
    by_events.put({"0.json": document(credit_request("c0", 7)), "1.json": b"{", "2.json": b"[]"})
    by_events.delete("3.json")
    monkeypatch.setattr(event_queue, "HELD_SECONDS", 1)
    bodies = event_store.take(10)
    late = chance.sample(bodies, 4)
    early = [body for body in bodies if body not in late]
    early += chance.choices(bodies, k=5)
    chance.shuffle(early)
    event_store.send(early)
    _tick_until_confirmed(by_events, event_store)
    event_store.send(late)
    _tick_until_confirmed(by_events, event_store)
    without_listings.undo()
    assert _tables(by_events) == _tables_by_listing(by_events, tmp_path / "listing")


def test_what_lost_events_told_of_is_found_by_the_next_listing(
    event_platform: Platform,
    event_store: EventStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_queue, "HELD_SECONDS", 1)
    event_store.take(1)  # S3's test event
    event_platform.put({f"{n}.json": document(credit_request(f"c{n}")) for n in range(4)})
    event_store.take(4)
    assert event_platform.tick() is not None  # the first tick lists
    event_platform.put({f"{n}.json": document(credit_request("c9", n)) for n in (1, 5, 6)})
    event_store.send(event_store.take(3)[:1])
    _tick_until_confirmed(event_platform, event_store)
    assert event_platform.evaluate_sensor().skip_message == "Nothing new in 0 events."
    by_listing = _tables_by_listing(event_platform, tmp_path / "listing")
    assert _tables(event_platform) != by_listing

    now = replace(event_platform.settings, reconcile_seconds=0)
    event_platform.definitions = build_definitions(now)
    run = event_platform.tick()
    assert run is not None
    assert run.success
    assert _tables(event_platform) == by_listing


def test_poisoned_messages_stop_nothing_and_are_gone_after_one_tick(
    by_events: Platform, event_store: EventStore, capfd: pytest.CaptureFixture[str]
) -> None:
    """One message that ends a tick, or comes back for ever, would keep all others waiting."""
    unaskable = [_event(event_store, name) for name in ("a//b", "../a", "a%00", "folder/")]
    # The rest cannot be put into a queue.
    poison = [body for body, _ in POISON.values() if body and "\ud800" not in body]
    event_store.send([*poison[:7], *unaskable])
    by_events.put({"a.json": document(credit_request())})
    event_store.send(poison[7:])
    event_store.wait_for_waiting(len(unaskable) + len(poison) + 1)
    run = by_events.tick()
    assert run is not None
    assert run.success
    assert by_events.published("SELECT count(*) FROM landing_table") == [(1,)]
    assert event_store.depth() == (0, 1)  # only what was loaded is not confirmed yet
    log = capfd.readouterr().err
    assert log.count("of the event queue: ") == len(poison)
    assert "S3's test event" in log


def test_an_object_that_only_a_listing_tells_of_is_set_aside_without_one(
    by_events: Platform, event_store: EventStore
) -> None:
    """In a large bucket one event of such a key would be a listing that no tick survives."""
    names = ["a//b.json", "t\x01.json", "y/", "folder/"]
    content = document(credit_request())
    by_events.put({**dict.fromkeys(names, content), "folder/": b"", "good.json": content})
    event_store.wait_for_waiting(5)
    run = by_events.tick()
    assert run is not None
    assert run.success
    assert by_events.warehouse("SELECT object_key, status FROM object_ledger ORDER BY ALL") == [
        (f"{PREFIX}/a//b.json", "quarantined"),
        (f"{PREFIX}/good.json", "loaded"),
        (f"{PREFIX}/t\x01.json", "quarantined"),
        (f"{PREFIX}/y", "quarantined"),
    ]


def test_amazon_is_not_asked_for_what_another_cloud_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bucket of the same name may be somebody else's there; the listing tells it here."""
    bucket = MemoryBucket()
    bucket.put("prefix/good.json", document(credit_request()))
    monkeypatch.setattr(bucket, "_scheme", "gs")
    found = bucket.current_versions(["prefix/a//b.json", "prefix/good.json"])
    assert found["object_key"].to_pylist() == ["prefix/good.json"]


def test_the_event_of_a_key_that_ends_in_a_slash_stays_until_it_is_in_the_ledger(
    by_events: Platform, event_store: EventStore
) -> None:
    """Its version is listed without the slash: a tick that dies would have lost the hint."""
    by_events.put({"y/": document(credit_request())})
    event_store.wait_for_waiting(1)
    assert by_events.evaluate_sensor().run_requests
    assert event_store.depth() == (0, 1)


def test_what_waits_to_be_tried_again_is_not_listed_for_at_every_tick(
    event_platform: Platform, event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing a large bucket for its sake each time would be all that the platform does."""
    event_platform.put({"no-event.json": document(credit_request())})
    event_store.take(2)
    Path(event_platform.settings.warehouse).write_bytes(b"not a database" * 1_000)
    run = event_platform.tick()
    assert run is not None
    assert not run.success
    soon = datetime.now(timezone.utc) + timedelta(hours=1)
    monkeypatch.setattr(sensors, "retry_at", lambda last, attempts: soon)
    assert "tried again at" in str(event_platform.evaluate_sensor().skip_message)
    assert event_platform.evaluate_sensor().skip_message == "Nothing new in 0 events."

    now = datetime.now(timezone.utc)
    progress = ListingProgress.of_cursor(event_platform.cursor)
    assert progress.retry_at == soon.timestamp()
    event_platform.cursor = replace(progress, retry_at=now.timestamp()).cursor()
    monkeypatch.setattr(sensors, "retry_at", lambda last, attempts: now)
    assert event_platform.evaluate_sensor().run_requests


def test_a_tick_that_dies_before_its_run_is_launched_loses_no_event(
    by_events: Platform, event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_events.put({"a.json": document(credit_request())})
    event_store.wait_for_waiting(1)
    monkeypatch.setattr(event_queue, "HELD_SECONDS", 1)

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killing:
        killing.setattr(sensors, "make_partitions", dies)
        with pytest.raises(KeyboardInterrupt):
            by_events.evaluate_sensor()
    _tick_until_confirmed(by_events, event_store)
    assert by_events.published("SELECT count(*) FROM landing_table") == [(1,)]


def test_a_run_that_fails_loses_neither_events_nor_what_a_listing_had_found(
    event_platform: Platform, event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_platform.put({"no-event.json": document(credit_request("c1"))})
    event_store.take(2)
    event_platform.put({"event.json": document(credit_request("c2"))})
    event_store.wait_for_waiting(1)
    monkeypatch.setattr(event_queue, "HELD_SECONDS", 1)
    warehouse = Path(event_platform.settings.warehouse)
    warehouse.write_bytes(b"not a database" * 1_000)
    run = event_platform.tick()
    assert run is not None
    assert not run.success

    warehouse.unlink()
    past = datetime(2000, 1, 1, tzinfo=timezone.utc)
    monkeypatch.setattr(sensors, "retry_at", lambda last, attempts: past)
    _tick_until_confirmed(event_platform, event_store)
    assert event_platform.published("SELECT count(*) FROM landing_table") == [(2,)]
    assert event_platform.evaluate_sensor().skip_message == "Nothing new in 0 events."


def test_events_wait_in_the_queue_while_a_run_is_loading(
    by_events: Platform, event_store: EventStore
) -> None:
    """Received then, they would only be held back from the tick that can act on them."""
    by_events.put({"a.json": document(credit_request())})
    event_store.wait_for_waiting(1)
    create_run_for_test(
        by_events.instance, job_name="ingest_objects", status=dg.DagsterRunStatus.STARTED
    )
    assert "is loading" in str(by_events.evaluate_sensor().skip_message)
    assert event_store.depth() == (1, 0)


def test_without_its_queue_the_platform_lists_at_every_tick(
    event_platform: Platform, event_store: EventStore, capfd: pytest.CaptureFixture[str]
) -> None:
    assert event_platform.evaluate_sensor().skip_message == "Nothing new among 0 objects."
    event_store.delete_queue()
    event_platform.put({"a.json": document(credit_request())})
    run = event_platform.tick()
    assert run is not None
    assert run.success
    assert "Without events the bucket is listed: Cannot use the queue" in capfd.readouterr().err
    assert event_platform.evaluate_sensor().skip_message == "Nothing new among 1 objects."


def test_thousands_of_messages_are_taken_and_deleted_at_once(
    event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog of events that a tick takes ten by ten would never be worked off."""
    event_store.take(1)
    event_store.send([_event(event_store, f"{n}.json") for n in range(200)])
    queue = EventQueue(event_store.queue_url, event_store.environment)
    messages = queue.receive(0)
    assert len({message.message_id for message in messages}) == 200
    assert event_store.depth() == (0, 200)
    queue.delete(messages)
    assert event_store.depth() == (0, 0)
    monkeypatch.setattr(event_queue, "MAX_BYTES", 1)
    event_store.send(["x"] * 30)
    assert len(queue.receive(0)) == 10


def test_status_says_how_full_the_queue_is(
    event_platform: Platform, event_store: EventStore, capsys: pytest.CaptureFixture[str]
) -> None:
    status(event_platform.settings)
    assert "about 1 messages wait, 0 were handed out" in " ".join(capsys.readouterr().out.split())
    event_store.delete_queue()
    status(event_platform.settings)
    assert "Events unknown: Cannot use the queue" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"KEYCASH_EVENTS_QUEUE_URL": "keycash-events"}, "write the queue's URL"),
        ({"KEYCASH_OBJECTS_URL": "gs://bucket/prefix"}, "set KEYCASH_OBJECTS_URL to s3://"),
        ({"KEYCASH_OBJECTS_URL": ""}, "set KEYCASH_OBJECTS_URL to s3://"),
        ({"KEYCASH_RECONCILE_SECONDS": "-1"}, "a whole number of seconds"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    event_store: EventStore, variables: dict[str, str], message: str
) -> None:
    """The queue of no bucket, or of another cloud's, would be listened to for ever in vain."""
    with pytest.raises(SettingsError, match=message):
        Settings.from_environment({**event_store.environment, **variables})


def test_a_folder_marker_beside_an_object_of_its_name_is_no_version_of_it(
    event_platform: Platform,
) -> None:
    """Listed without its slash, it would look like a version that is never loaded."""
    event_platform.put({"a": document(credit_request()), "a/": b"", "a/b": b"", "c/": b""})
    versions = sorted(event_platform.bucket.all_versions(), key=lambda version: version.key)
    assert [(v.key, v.size_bytes > 0) for v in versions] == [
        (f"{PREFIX}/a", True),
        (f"{PREFIX}/a/b", False),
    ]


def test_content_under_a_key_that_ends_in_a_slash_is_quarantined(event_platform: Platform) -> None:
    """Listed without its slash it cannot be found, and would be asked for again for ever."""
    event_platform.put({"a/": document(credit_request()), "b/": b"", "b/c": document()})
    ledger = "SELECT object_key, status, error FROM object_ledger ORDER BY object_key"
    expected = [
        (f"{PREFIX}/a", "quarantined", ENDS_IN_A_SLASH),
        (f"{PREFIX}/b/c", "loaded", None),
    ]
    loaded = event_platform.tick()
    assert loaded is not None
    assert loaded.success
    assert event_platform.warehouse(ledger) == expected
    event_platform.cursor = None  # the next tick lists the bucket again
    assert event_platform.tick() is None
    assert event_platform.run("full_load").success
    assert event_platform.warehouse(ledger) == expected


@pytest.mark.parametrize("is_same", [True, False])
def test_content_under_a_key_with_and_without_a_slash_is_loaded_once(
    event_platform: Platform, is_same: bool
) -> None:
    """Both are listed as versions of one key: it would have two partitions, or its rows twice."""
    content = document(credit_request())
    event_platform.put({"y/": content if is_same else document(credit_request("other"))})
    event_platform.wait_for_another_second()
    event_platform.put({"y": content, "z.json": document(credit_request("z"))})
    rows = "SELECT object_key, record_index, id FROM landing_table ORDER BY ALL"
    ledger = "SELECT object_key, status FROM object_ledger ORDER BY ALL"
    loaded = event_platform.tick()
    assert loaded is not None
    assert loaded.success
    expected = event_platform.warehouse(rows)
    assert [(key, index) for key, index, _ in expected] == [
        (f"{PREFIX}/y", 0),
        (f"{PREFIX}/z.json", 0),
    ]
    for job in ("full_load", "ingest_objects"):
        assert event_platform.run(job).success
        assert event_platform.warehouse(rows) == expected
        assert event_platform.warehouse(ledger) == [
            (f"{PREFIX}/y", "loaded"),
            (f"{PREFIX}/z.json", "loaded"),
        ]
    event_platform.cursor = None  # the next tick lists the bucket again
    assert (event_platform.tick() is None) == is_same


def test_a_key_that_the_client_cannot_ask_for_stops_nothing(event_platform: Platform) -> None:
    """S3 takes such keys: one of them would end every listing, and all other objects would wait."""
    unaskable = ["a//b.json", "a/../b.json", "./c.json", "t\x01.json"]
    good = document(credit_request())
    event_platform.put(
        {"good.json": good, "z.json": good, "empty//": b"", **dict.fromkeys(unaskable, good)}
    )
    run = event_platform.tick()
    assert run is not None
    assert run.success
    ledger = "SELECT object_key, status FROM object_ledger ORDER BY ALL"
    expected = sorted(
        [
            (f"{PREFIX}/good.json", "loaded"),
            (f"{PREFIX}/z.json", "loaded"),
            *((f"{PREFIX}/{name}", "quarantined") for name in unaskable),
        ]
    )
    assert event_platform.warehouse(ledger) == expected
    assert event_platform.published("SELECT DISTINCT reason FROM quarantine") == [
        (NOT_TO_BE_ASKED_FOR,)
    ]
    event_platform.cursor = None  # the next tick lists the bucket again
    assert event_platform.tick() is None
    assert event_platform.run("full_load").success
    assert event_platform.warehouse(ledger) == expected
