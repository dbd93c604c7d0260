"""A faulty object store: what passes is waited for, what stays is one object's own affair.

A proxy in front of the real S3 server makes the faults. The limits of ``retrying`` are shortened:
two seconds of silence stand for ten, and the client repeats a request once.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import duckdb
import obstore
import pytest

from keycash_assets import backlog, retrying
from keycash_assets import bucket as bucket_module
from keycash_assets.bucket import Bucket
from keycash_assets.errors import ObjectStoreError
from keycash_assets.loading import (
    LoadSummary,
    load_again,
    load_everything_again,
    load_everything_new,
    load_keys,
)
from keycash_assets.settings import REPOSITORY
from keycash_assets.sql import statement
from keycash_assets.warehouse import connect_to_write
from keycash_assets_tests import fault_proxy
from keycash_assets_tests.fault_proxy import Fault, FaultProxy, answers
from keycash_assets_tests.platform import Platform, Row, credit_request, document

TRANSIENT = {
    "throttled": answers("503 Slow Down", "SlowDown"),
    "too_many_requests": answers("429 Too Many Requests", "TooManyRequests"),
    "server_error": answers("500 Internal Server Error", "InternalError"),
    "request_timeout": answers("400 Bad Request", "RequestTimeout"),
    "reset": fault_proxy.reset,
    "stall": fault_proxy.stall,
    "reset_halfway": fault_proxy.reset_halfway,
    "stall_halfway": fault_proxy.stall_halfway,
    "cut_off": fault_proxy.cut_off,
    "shortened": fault_proxy.shortened,
    "corrupted": fault_proxy.corrupted,
}
PERMANENT = {
    "denied": answers("403 Forbidden", "AccessDenied"),
    "archived": answers("403 Forbidden", "InvalidObjectState"),
    "encryption_key_disabled": answers("400 Bad Request", "KMS.DisabledException"),
}
LASTING = {**TRANSIENT, **PERMANENT}
WHOLE_STORE = {
    "throttled": TRANSIENT["throttled"],
    "reset": TRANSIENT["reset"],
    "denied": PERMANENT["denied"],
    "expired_403": answers("403 Forbidden", "ExpiredToken"),
    "expired_400": answers("400 Bad Request", "ExpiredToken"),
}


def _file(client: str) -> bytes:
    return document(credit_request(client))


@contextmanager
def _shortened_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrying, "SILENCE", timedelta(seconds=2))
        patch.setattr(retrying, "CLIENT_RETRIES", 1)
        patch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.05)
        yield


@contextmanager
def _behind_a_proxy(platform: Platform) -> Iterator[FaultProxy]:
    """Have a platform reach its bucket through a proxy; what a test puts goes past it."""
    assert platform.client is not None  # made now, with the address of the server itself
    server = FaultProxy(os.environ["AWS_ENDPOINT_URL_S3"])
    with server.running() as proxy, _shortened_limits(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        yield proxy


@dataclass
class Lake:
    """A bucket and a warehouse without Dagster.

    Attributes:
        server: The bucket past the proxy.
        bucket: The bucket through it.
        warehouse: Path of the DuckDB file.
    """

    server: Bucket
    bucket: Bucket
    warehouse: str

    def put(self, objects: dict[str, bytes]) -> None:
        """Put objects, by file name below the prefix."""
        for name, content in objects.items():
            obstore.put(self.server._store, self.server.key_of(name), content)

    def delete(self, name: str) -> None:
        """Delete an object."""
        obstore.delete(self.server._store, self.server.key_of(name))

    def load(self, *, everything_again: bool = False, retract: bool = False) -> LoadSummary:
        """Load through the proxy."""
        load = load_everything_again if everything_again else load_everything_new
        with closing(connect_to_write(self.warehouse)) as connection:
            return load(connection, self.bucket, "run", retract=retract)

    def load_keys(self, *names: str) -> LoadSummary:
        """Load objects as partitions through the proxy, by file name below the prefix."""
        with closing(connect_to_write(self.warehouse)) as connection:
            return load_keys(connection, self.bucket, [*map(self.bucket.key_of, names)], "run")

    def rows(self, query: str) -> list[Row]:
        """The rows of a query on the warehouse."""
        with closing(duckdb.connect(self.warehouse, read_only=True)) as connection:
            return connection.execute(query).fetchall()

    def state(self) -> list[list[Row]]:
        """All that loads write."""
        tables = ("object_ledger", "landing_table", "quarantine", "load_history")
        return [self.rows(f"FROM {table} ORDER BY ALL") for table in tables]


@pytest.fixture
def proxy(object_store_environment: dict[str, str]) -> Iterator[FaultProxy]:
    """A proxy before the object store."""
    server = FaultProxy(object_store_environment["AWS_ENDPOINT_URL_S3"])
    with server.running() as proxy, _shortened_limits():
        yield proxy


@pytest.fixture
def lake(environment: dict[str, str], proxy: FaultProxy, tmp_path: Path) -> Lake:
    """A bucket of this test behind the proxy, and an empty warehouse."""
    url = environment["KEYCASH_OBJECTS_URL"]
    through_proxy = {**environment, "AWS_ENDPOINT_URL_S3": proxy.endpoint}
    warehouse = str(tmp_path / "warehouse.duckdb")
    return Lake(Bucket(url, environment), Bucket(url, through_proxy), warehouse)


# Faults that pass


@pytest.fixture(scope="module")
def after_transient_faults(module_platform: Platform) -> dict[str, Fault]:
    """Each fault twice on an object of its own, all of them loaded by one tick."""
    module_platform.put({f"passing/{name}.json": _file(f"passing {name}") for name in TRANSIENT})
    with _behind_a_proxy(module_platform) as proxy:
        faults = {
            name: proxy.inject(change, key=f"passing/{name}.json", times=2)
            for name, change in TRANSIENT.items()
        }
        run = module_platform.tick()
    assert run is not None
    assert run.success
    return faults


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_fault_that_passes_leaves_no_trace(
    module_platform: Platform, after_transient_faults: dict[str, Fault], name: str
) -> None:
    """Given up on, one bad second of the network would take an object's records away."""
    assert after_transient_faults[name].hits == 2
    key = module_platform.bucket.key_of(f"passing/{name}.json")
    assert module_platform.published(
        f"SELECT id, problems FROM landing_table WHERE object_key = '{key}'"
    ) == [(f"passing {name}", None)]
    assert module_platform.published(f"FROM quarantine WHERE object_key = '{key}'") == []


@pytest.mark.parametrize("name", [name for name in TRANSIENT if name != "corrupted"])
def test_a_page_of_keys_is_asked_for_until_its_fault_passes(
    lake: Lake, proxy: FaultProxy, name: str
) -> None:
    """The client alone gives up on some; the bucket would be unknown at each passing fault."""
    lake.put({f"{n}.json": _file(str(n)) for n in range(3)})
    fault = proxy.inject(TRANSIENT[name], listings=True, times=2)
    assert len(lake.bucket.all_versions()) == 3
    assert fault.hits == 2


ON_HEAD = ("throttled", "server_error", "reset", "stall")
"""What can happen to an answer without a body."""


@pytest.mark.parametrize("name", ON_HEAD)
def test_a_version_is_asked_for_until_its_fault_passes(
    lake: Lake, proxy: FaultProxy, name: str
) -> None:
    """Each run of partitions asks for each of its objects, which would be taken for deleted."""
    lake.put({"a.json": _file("a"), "b.json": _file("b")})
    fault = proxy.inject(TRANSIENT[name], key="/a.json", methods=("HEAD",), times=2)
    assert lake.load_keys("a.json", "b.json").objects_loaded == 2
    assert fault.hits == 2


def test_an_object_whose_version_may_not_be_asked_for_is_looked_for_in_the_listing(
    lake: Lake, proxy: FaultProxy
) -> None:
    """Of an object encrypted with a key of its owner's a HEAD is refused, and not of the others."""
    lake.put({"a.json": _file("a"), "b.json": _file("b")})
    fault = proxy.inject(PERMANENT["denied"], key="/a.json", methods=("HEAD",))
    assert lake.load_keys("a.json", "b.json").objects_loaded == 2
    assert fault.hits == 1


def test_an_upload_is_not_given_up_because_nothing_comes_back_yet(
    lake: Lake, proxy: FaultProxy, tmp_path: Path
) -> None:
    """While a slow line sends, silence is no stall."""
    slow = proxy.inject(fault_proxy.real, methods=("PUT",), before=partial(time.sleep, 0.4))
    file = tmp_path / "file"
    file.write_bytes(_file("a"))
    # The fixture of the proxy ends before one for all of the test, which would put its value back.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrying, "SILENCE", timedelta(seconds=0.2))
        lake.bucket.put_files({lake.bucket.key_of("a.json"): file}, lambda: None)
    assert slow.hits == 1


def test_pauses_grow_and_are_drawn_at_random() -> None:
    """Clients that were turned away together would come back together."""
    draws = [list(retrying.pauses()) for _ in range(100)]
    longest = list(map(max, zip(*draws, strict=True)))
    assert len(longest) == retrying.ATTEMPTS - 1
    for attempt, pause in enumerate(longest):
        limit = retrying.FIRST_PAUSE_SECONDS * 2**attempt
        assert limit / 2 < pause <= limit
    assert len({pause for pauses in draws for pause in pauses}) > 100


# Faults of one object that stay


@dataclass
class Aftermath:
    """What is published of objects with lasting faults, and after these are mended."""

    ledger: dict[str, Row]
    quarantine: list[Row]
    landed: list[str]
    landed_when_mended: list[str]
    quarantine_when_mended: list[Row]


@pytest.fixture(scope="module")
def aftermath(module_platform: Platform) -> Aftermath:
    """Each fault for good on an object of its own, in one tick; then mended, ten minutes later."""
    platform = module_platform
    start = platform.bucket.key_of("lasting/")
    platform.put({f"lasting/{name}.json": _file(name) for name in [*LASTING, "untroubled"]})
    platform.client.put_object(
        Bucket=platform.bucket.name,
        Key=f"{start}encrypted.json",
        Body=_file("encrypted"),
        SSECustomerAlgorithm="AES256",
        SSECustomerKey=b"0" * 32,
    )
    lasting = f"WHERE starts_with(object_key, '{start}')"
    ids = f"SELECT id FROM landing_table {lasting} ORDER BY id"
    quarantine = f"SELECT object_key, line, raw, reason FROM quarantine {lasting}"
    with _behind_a_proxy(platform) as proxy, pytest.MonkeyPatch.context() as patch:
        for name, change in LASTING.items():
            proxy.inject(change, key=f"lasting/{name}.json")
        run = platform.tick()
        assert run is not None
        assert run.success
        ledger = platform.published(
            f"SELECT object_key, status, sha256, records, error FROM object_ledger {lasting}"
        )
        aftermath = Aftermath(
            {key.removeprefix(start): tuple(entry) for key, *entry in ledger},
            platform.published(quarantine),
            [row[0] for row in platform.published(ids)],
            [],
            [],
        )
        proxy.heal()
        assert not platform.evaluate_sensor().run_requests, "tried again before ten minutes"
        patch.setattr(backlog, "UNREADABLE_AGAIN_AFTER", timedelta(0))
        run = platform.tick()
        assert run is not None
        assert run.success
        aftermath.landed_when_mended = [row[0] for row in platform.published(ids)]
        aftermath.quarantine_when_mended = platform.published(quarantine)
    return aftermath


@pytest.mark.parametrize("name", [*LASTING, "encrypted"])
def test_an_object_that_cannot_be_read_is_set_aside_with_the_reason(
    module_platform: Platform, aftermath: Aftermath, name: str
) -> None:
    """One object that no retry helps would keep all others from loading, for ever."""
    status, sha256, records, error = aftermath.ledger[f"{name}.json"]
    assert (status, sha256, records) == ("quarantined", None, 0)
    assert error.startswith("could not be read: ")
    key = module_platform.bucket.key_of(f"lasting/{name}.json")
    assert [row for row in aftermath.quarantine if row[0] == key] == [(key, None, b"", error)]


def test_the_others_load_beside_those_that_cannot_be_read(aftermath: Aftermath) -> None:
    assert aftermath.landed == ["untroubled"]


def test_what_could_not_be_read_heals_by_itself_after_ten_minutes(
    module_platform: Platform, aftermath: Aftermath
) -> None:
    """Nobody puts it again: its version is the same, and the ledger has seen it."""
    assert aftermath.landed_when_mended == sorted([*LASTING, "untroubled"])
    key = module_platform.bucket.key_of("lasting/encrypted.json")
    assert [row[0] for row in aftermath.quarantine_when_mended] == [key]


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        ("throttled", retrying.ATTEMPTS * 2),
        ("reset_halfway", retrying.ATTEMPTS * 2),
        ("corrupted", retrying.ATTEMPTS),
        ("denied", 1),
    ],
)
def test_retries_end(lake: Lake, proxy: FaultProxy, fault: str, requests: int) -> None:
    """Without an end, one object would hold up all others."""
    lake.put({"a.json": _file("a"), "b.json": _file("b")})
    injected = proxy.inject(LASTING[fault], key="/a.json")
    assert lake.load().objects_quarantined == 1
    assert injected.hits == requests


@pytest.mark.parametrize("fault", ["denied", "throttled"])
def test_an_object_that_cannot_be_read_is_set_aside_beside_a_key_that_cannot_be_listed(
    lake: Lake, proxy: FaultProxy, fault: str
) -> None:
    """The client ends a listing at such a key: that was taken for a store that fails."""
    lake.put({"a.json": _file("a"), "b.json": _file("b")})
    proxy.inject(fault_proxy.with_listed(lake.server.key_of("c//d.json")), listings=True)
    proxy.inject(LASTING[fault], key="/a.json")
    assert lake.load().objects_quarantined == 2
    assert lake.rows("SELECT id FROM landing_table") == [("b",)]


def test_a_replay_of_what_is_quarantined_reads_an_unreadable_object_at_once(
    lake: Lake, proxy: FaultProxy
) -> None:
    lake.put({"a.json": _file("a"), "b.json": _file("b")})
    proxy.inject(fault_proxy.corrupted, key="/a.json")
    assert lake.load().objects_quarantined == 1
    proxy.heal()
    assert lake.load().objects_seen == 0
    keys = [key for (key,) in lake.rows(statement("load/quarantined_keys"))]
    with closing(connect_to_write(lake.warehouse)) as connection:
        assert load_again(connection, lake.bucket, keys, "replay").objects_loaded == 1
    assert lake.rows("SELECT id FROM landing_table ORDER BY id") == [("a",), ("b",)]
    assert lake.rows("FROM quarantine") == []


def test_an_unreadable_new_version_takes_the_rows_of_the_old_one_away(
    lake: Lake, proxy: FaultProxy
) -> None:
    """They would be numbers that no file says any more."""
    lake.put({"a.json": _file("old"), "b.json": _file("b")})
    lake.load()
    lake.put({"a.json": _file("newer")})
    proxy.inject(PERMANENT["denied"], key="/a.json")
    assert lake.load().objects_quarantined == 1
    assert lake.rows("SELECT id FROM landing_table") == [("b",)]


@pytest.mark.parametrize("fault", ["corrupted", "denied"])
def test_a_version_that_was_read_before_stays_when_it_cannot_be_read_again(
    lake: Lake, proxy: FaultProxy, fault: str
) -> None:
    """A full load would take away rows that were right, and are still."""
    lake.put({"a.json": _file("a"), "b.json": _file("b")})
    lake.load()
    proxy.inject(LASTING[fault], key="/a.json")
    assert lake.load(everything_again=True).objects_deferred == 1
    assert lake.rows("SELECT id FROM landing_table ORDER BY id") == [("a",), ("b",)]
    assert lake.rows("SELECT DISTINCT status FROM object_ledger") == [("loaded",)]
    assert lake.rows("FROM quarantine") == []


@pytest.mark.parametrize("fault", ["throttled", "denied"])
def test_one_new_object_that_cannot_be_read_beside_old_ones_that_can_is_set_aside(
    lake: Lake, proxy: FaultProxy, fault: str
) -> None:
    """The usual tick has one new object: its run would fail until another one comes."""
    lake.put({"a.json": _file("a")})
    lake.load()
    lake.put({"b.json": _file("b")})
    proxy.inject(LASTING[fault], key="/b.json")
    assert lake.load().objects_quarantined == 1


# Faults of the store as a whole


@pytest.mark.parametrize("name", WHOLE_STORE)
def test_a_store_that_fails_as_a_whole_is_no_store_of_unreadable_objects(
    lake: Lake, proxy: FaultProxy, name: str
) -> None:
    """All that is new would be quarantined, and what it replaces would leave."""
    lake.put({f"{n}.json": _file(f"old {n}") for n in range(3)})
    lake.load()
    before = lake.state()
    lake.put({f"{n}.json": _file(f"new {n}") for n in range(1, 4)})
    proxy.inject(WHOLE_STORE[name], methods=("GET", "HEAD"))
    if "expired" in name:  # between the listing and the first object
        proxy.inject(WHOLE_STORE[name], listings=True, skip=1)
    with pytest.raises(ObjectStoreError, match=r"Cannot read s3://.*(expired|permissions)"):
        lake.load()
    assert lake.state() == before
    proxy.heal()
    assert lake.load().objects_loaded == 3


@pytest.mark.parametrize("name", ["throttled", "server_error", "reset", "denied"])
def test_a_bucket_that_cannot_be_listed_is_no_empty_one(
    lake: Lake, proxy: FaultProxy, name: str
) -> None:
    """All that was loaded would count as deleted, and its rows would leave."""
    lake.put({f"{n}.json": _file(str(n)) for n in range(3)})
    lake.load()
    before = lake.state()
    proxy.inject(LASTING[name], listings=True)
    for everything_again in (False, True):
        with pytest.raises(ObjectStoreError, match="Cannot list"):
            lake.load(everything_again=everything_again, retract=True)
    assert lake.state() == before


@pytest.mark.parametrize("name", ["throttled", "reset"])
def test_a_version_that_cannot_be_asked_for_fails_the_load(
    lake: Lake, proxy: FaultProxy, name: str
) -> None:
    """A run that finds nothing there, and so nothing to load, would look like one that loaded."""
    lake.put({"a.json": _file("a")})
    lake.load()
    before = lake.state()
    lake.put({"a.json": _file("new")})
    proxy.inject(TRANSIENT[name], methods=("GET", "HEAD"), listings=None)
    with pytest.raises(ObjectStoreError, match=r"Cannot (read|list)"):
        lake.load_keys("a.json")
    assert lake.state() == before


def test_the_stated_limits_are_the_real_ones() -> None:
    """The other tests shorten them, and would pass with limits of hours."""
    stated = (REPOSITORY / "docs" / "reliability.md").read_text("utf-8").replace("\n", " ")
    silence = retrying.SILENCE.total_seconds()
    for limit in (
        f"Silence of {silence:g} seconds ends a connection",
        f"repeats a request up to {retrying.CLIENT_RETRIES} times within {silence:g} seconds",
        f"is tried {retrying.ATTEMPTS} times from the start",
        f"a pause of up to {retrying.FIRST_PAUSE_SECONDS:g} and then up to "
        f"{2 * retrying.FIRST_PAUSE_SECONDS:g} seconds",
        f"may take {retrying.LONGEST_READ.total_seconds() / 3600:g} hours",
        f"An upload has {retrying.LONGEST_UPLOAD.total_seconds() / 60:g} minutes",
    ):
        assert limit in stated
    options = retrying.client_options(allow_http=False)
    assert options["read_timeout"] == retrying.client_retries()["retry_timeout"] == retrying.SILENCE
    pauses = sum(retrying.FIRST_PAUSE_SECONDS * 2**n for n in range(retrying.ATTEMPTS - 1))
    assert retrying.ATTEMPTS * silence + pauses < 35


def test_a_store_that_fails_during_a_load_leaves_nothing_half_loaded(
    lake: Lake, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not read yet would be quarantined because the beginning was read."""
    monkeypatch.setattr(bucket_module, "REQUESTS_IN_FLIGHT", 1)
    lake.put({f"{n}.json": _file(str(n)) for n in range(6)})
    proxy.inject(TRANSIENT["throttled"], skip=3)
    with pytest.raises(ObjectStoreError, match="SlowDown"):
        lake.load()
    assert lake.rows("FROM object_ledger") == []
    proxy.heal()
    assert lake.load().objects_loaded == 6


@pytest.mark.parametrize(
    ("fault", "is_its_own"), [("archived", True), ("corrupted", True), ("throttled", False)]
)
def test_the_only_object_is_set_aside_if_the_store_answers(
    lake: Lake, proxy: FaultProxy, fault: str, is_its_own: bool
) -> None:
    """No other object can show whether it is the store that fails: what it says does."""
    lake.put({"a.json": _file("a")})
    proxy.inject(LASTING[fault])
    if is_its_own:
        assert lake.load().objects_quarantined == 1
    else:
        with pytest.raises(ObjectStoreError):
            lake.load()


def test_expired_credentials_are_named_by_the_sensor_and_the_run(module_platform: Platform) -> None:
    """Whoever reads it has to know what to renew; and no runs are to be launched meanwhile."""
    module_platform.put({"expired.json": _file("expired")})
    before = module_platform.published("FROM object_ledger ORDER BY ALL")
    with _behind_a_proxy(module_platform) as proxy:
        requests = module_platform.evaluate_sensor().run_requests
        assert requests
        proxy.inject(WHOLE_STORE["expired_403"], listings=None, methods=("GET", "HEAD"))
        tick = module_platform.evaluate_sensor()
        assert not tick.run_requests
        assert "have expired: renew them" in str(tick.skip_message)
        run = module_platform.run("ingest_objects", tags=dict(requests[0].tags))
    assert not run.success
    failed = next(event for event in run.all_events if event.is_step_failure)
    assert "have expired: renew them" in str(failed.step_failure_data.error)
    assert module_platform.warehouse("FROM object_ledger ORDER BY ALL") == before


def test_a_listing_that_fails_half_way_is_not_the_whole_bucket(
    lake: Lake, proxy: FaultProxy, tmp_path: Path
) -> None:
    """The objects of its second page would count as deleted, and their rows would leave."""
    file = tmp_path / "file"
    file.write_bytes(_file("a"))
    keys = [lake.bucket.key_of(f"{n:04}.json") for n in range(1_001)]
    lake.server.put_files(dict.fromkeys(keys, file), lambda: None)
    with closing(connect_to_write(lake.warehouse)) as connection:
        assert load_everything_new(connection, lake.server, "run").objects_loaded == len(keys)
    before = lake.state()
    second_page = proxy.inject(fault_proxy.cut_off, listings=True, skip=1)
    for everything_again in (False, True):
        with pytest.raises(ObjectStoreError, match="Cannot list"):
            lake.load(everything_again=everything_again, retract=True)
    assert second_page.hits > retrying.ATTEMPTS
    assert lake.state() == before
    proxy.heal()
    once = proxy.inject(fault_proxy.cut_off, listings=True, skip=1, times=1)
    pages = lake.bucket.pages()
    assert sorted(key for page in pages for key in page["object_key"].to_pylist()) == keys
    assert once.hits == 1


# Objects that change under the reader's hands


def test_an_object_that_changes_between_listing_and_reading_is_left_to_the_next_tick(
    lake: Lake, proxy: FaultProxy
) -> None:
    """Bytes of one version under the name of another would never be found again."""
    lake.put({"a.json": _file("listed"), "b.json": _file("b")})
    overwrite = partial(lake.put, {"a.json": _file("overwritten")})
    proxy.inject(fault_proxy.real, key="/a.json", times=1, before=overwrite)
    summary = lake.load()
    assert (summary.objects_loaded, summary.objects_deferred) == (1, 1)
    assert lake.load().objects_loaded == 1
    ids = lake.rows("SELECT id FROM landing_table ORDER BY id")
    assert ids == [("b",), ("overwritten",)]


def test_an_object_that_changes_while_it_is_read_is_left_to_the_next_tick(
    lake: Lake, proxy: FaultProxy
) -> None:
    """The client goes on where a body broke off: half of it could be of another version."""
    lake.put({"a.json": _file("listed"), "b.json": _file("b")})
    proxy.inject(fault_proxy.cut_off, key="/a.json", times=1)
    overwrite = partial(lake.put, {"a.json": _file("LISTED")})
    proxy.inject(fault_proxy.real, key="/a.json", times=1, before=overwrite)
    summary = lake.load()
    assert (summary.objects_loaded, summary.objects_deferred) == (1, 1)
    assert lake.load().objects_loaded == 1
    assert lake.rows("SELECT id FROM landing_table ORDER BY id") == [("LISTED",), ("b",)]


def test_an_object_that_vanishes_between_listing_and_reading_is_no_fault(
    lake: Lake, proxy: FaultProxy
) -> None:
    lake.put({"a.json": _file("a"), "b.json": _file("b")})
    vanish = partial(lake.delete, "a.json")
    proxy.inject(fault_proxy.real, key="/a.json", times=1, before=vanish)
    summary = lake.load()
    assert (summary.objects_loaded, summary.objects_deferred) == (1, 1)
    assert lake.rows("FROM quarantine") == []
    assert lake.load().objects_seen == 0


# ETags


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ],
)
def test_an_etag_that_is_no_digest_of_the_content_is_not_taken_for_one(
    lake: Lake, proxy: FaultProxy, headers: dict[str, str]
) -> None:
    """Of encrypted objects it is none, though it looks like one: none of them would load."""
    content, other = _file("a"), _file("b")
    assert len(other) == len(content)
    lake.put({"a.json": content})
    proxy.inject(fault_proxy.with_body(other), key="/a.json")
    proxy.inject(fault_proxy.with_headers(headers), key="/a.json", methods=("HEAD",))
    assert lake.load().objects_loaded == 1
    assert [method for method, target in proxy.requests if "/a.json" in target] == ["GET", "HEAD"]
    digest = hashlib.sha256(other).hexdigest()
    assert lake.rows("SELECT sha256 FROM object_ledger") == [(digest,)]
