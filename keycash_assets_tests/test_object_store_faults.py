"""A faulty object store: what passes is waited for, what stays is one object's own affair.

A proxy in front of the real S3 server makes the faults. The limits of ``retrying`` are shortened:
one second of silence stands for ten.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from keycash_assets import backlog, retrying
from keycash_assets import bucket as bucket_module
from keycash_assets.bucket import Bucket
from keycash_assets.commands.replay import replay
from keycash_assets.errors import ObjectStoreError
from keycash_assets.loading import LoadSummary, load_everything_again, load_everything_new
from keycash_assets.warehouse import connect_to_write
from keycash_assets_tests import fault_proxy
from keycash_assets_tests.fault_proxy import Fault, FaultProxy, answers
from keycash_assets_tests.platform import Platform, Row, credit_request, document

TRANSIENT = {
    "throttled": answers("503 Slow Down", "SlowDown"),
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


@contextmanager
def _behind_a_proxy(platform: Platform) -> Iterator[FaultProxy]:
    """Have the platform reach its bucket through a proxy; what a test puts goes past it."""
    assert platform.client is not None  # made now, with the address of the server itself
    with (
        FaultProxy(os.environ["AWS_ENDPOINT_URL_S3"]).running() as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        patch.setattr(retrying, "SILENCE", timedelta(seconds=1))
        patch.setattr(retrying, "CLIENT_RETRIES", 1)
        patch.setattr(retrying, "FIRST_PAUSE_SECONDS", 0.05)
        yield proxy


@pytest.fixture
def proxy(platform: Platform) -> Iterator[FaultProxy]:
    """The proxy before the bucket of ``platform``."""
    with _behind_a_proxy(platform) as proxy:
        yield proxy


def _record(name: str) -> bytes:
    return document(credit_request(name))


def _load(
    platform: Platform, *, everything_again: bool = False, retract: bool = False
) -> LoadSummary:
    """Load without Dagster, through the proxy."""
    load = load_everything_again if everything_again else load_everything_new
    with closing(connect_to_write(platform.settings.warehouse)) as connection:
        bucket = Bucket(platform.bucket.url, os.environ)
        return load(connection, bucket, "run", retract=retract)


def _keys(platform: Platform, query: str) -> list[str]:
    """Names below the prefix in the rows of a query on the warehouse."""
    start = len(platform.bucket.key_of(""))
    return [key[start:] for (key, *_) in platform.warehouse(query)]


# Faults that pass


@pytest.fixture(scope="module")
def after_transient_faults(module_platform: Platform) -> dict[str, Fault]:
    """The faults above, twice each on an object of its own, all of them loaded by one tick."""
    names = [*TRANSIENT, "untroubled"]
    module_platform.put({f"{name}.json": _record(name) for name in names})
    with _behind_a_proxy(module_platform) as proxy:
        faults = {
            name: proxy.inject(change, key=f"/{name}.json", times=2)
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
    key = module_platform.bucket.key_of(f"{name}.json")
    rows = f"SELECT id, problems FROM landing_table WHERE object_key = '{key}'"
    assert module_platform.published(rows) == [(name, None)]
    assert module_platform.published("FROM quarantine") == []


def test_a_page_of_keys_that_breaks_off_is_asked_for_again(
    platform: Platform, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the bucket would be new later than it is, or count as deleted."""
    monkeypatch.setattr(bucket_module, "PAGE_OBJECTS", 2)
    names = [f"{n}.json" for n in range(5)]
    platform.put({name: _record(name) for name in names})
    faults = [
        proxy.inject(change, listings=True, times=1)
        for change in (fault_proxy.cut_off, fault_proxy.shortened)
    ]
    assert _load(platform).objects_loaded == 5
    assert [fault.hits for fault in faults] == [1, 1]
    assert _keys(platform, "SELECT object_key FROM object_ledger ORDER BY ALL") == names


# Faults of one object that stay

LASTING = {**TRANSIENT, **PERMANENT}


@pytest.fixture(scope="module")
def after_lasting_faults(module_platform: Platform) -> dict[str, Fault]:
    """The faults above, for good, on an object of its own each; all of them in one tick."""
    names = [*LASTING, "untroubled"]
    module_platform.put({f"lasting/{name}.json": _record(f"lasting {name}") for name in names})
    module_platform.client.put_object(
        Bucket=module_platform.bucket.name,
        Key=module_platform.bucket.key_of("lasting/encrypted.json"),
        Body=_record("lasting encrypted"),
        SSECustomerAlgorithm="AES256",
        SSECustomerKey=b"0" * 32,
    )
    with _behind_a_proxy(module_platform) as proxy:
        faults = {
            name: proxy.inject(change, key=f"lasting/{name}.json")
            for name, change in LASTING.items()
        }
        run = module_platform.tick()
        assert run is not None
        assert run.success, [e.step_failure_data.error for e in run.all_events if e.is_step_failure]
        assert module_platform.tick() is None, "tried again at once"
    return faults


@pytest.mark.parametrize("name", [*LASTING, "encrypted"])
@pytest.mark.usefixtures("after_lasting_faults")
def test_an_object_that_cannot_be_read_is_set_aside_with_the_reason(
    module_platform: Platform, name: str
) -> None:
    """One object that no retry helps would keep all others from loading, for ever."""
    key = module_platform.bucket.key_of(f"lasting/{name}.json")
    ((status, sha256, records, error),) = module_platform.published(
        f"SELECT status, sha256, records, error FROM object_ledger WHERE object_key = '{key}'"
    )
    assert (status, sha256, records) == ("quarantined", None, 0)
    assert error.startswith("could not be read: ")
    assert module_platform.published(
        f"SELECT line, raw, reason FROM quarantine WHERE object_key = '{key}'"
    ) == [(None, b"", error)]
    assert module_platform.published(f"FROM landing_table WHERE object_key = '{key}'") == []


@pytest.mark.usefixtures("after_lasting_faults")
def test_the_others_load_beside_it(module_platform: Platform) -> None:
    assert module_platform.published(
        "SELECT id FROM landing_table WHERE starts_with(id, 'lasting')"
    ) == [("lasting untroubled",)]


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        # The tests let the client repeat a request once.
        ("throttled", retrying.ATTEMPTS * 2),
        ("reset_halfway", retrying.ATTEMPTS * 2),
        ("corrupted", retrying.ATTEMPTS),
        ("denied", 1),
    ],
)
def test_retries_end(platform: Platform, proxy: FaultProxy, fault: str, requests: int) -> None:
    """Without an end, one object would hold up all others."""
    platform.put({"a.json": _record("a"), "b.json": _record("b")})
    injected = proxy.inject(LASTING[fault], key="/a.json")
    assert _load(platform).objects_quarantined == 1
    assert injected.hits == requests


def test_an_unreadable_object_heals_by_itself_after_ten_minutes(
    platform: Platform, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody puts it again: its version is the same, and the ledger has seen it."""
    platform.put({"a.json": _record("a"), "b.json": _record("b")})
    proxy.inject(PERMANENT["denied"], key="/a.json")
    assert platform.tick() is not None
    proxy.heal()
    assert not platform.evaluate_sensor().run_requests
    monkeypatch.setattr(backlog, "UNREADABLE_AGAIN_AFTER", timedelta(0))
    run = platform.tick()
    assert run is not None
    assert run.success
    assert platform.published("SELECT id FROM landing_table ORDER BY id") == [("a",), ("b",)]
    assert platform.published("FROM quarantine") == []
    assert platform.published("SELECT DISTINCT status FROM object_ledger") == [("loaded",)]


def test_a_replay_of_what_is_quarantined_reads_an_unreadable_object_at_once(
    platform: Platform, proxy: FaultProxy
) -> None:
    platform.put({"a.json": _record("a"), "b.json": _record("b")})
    proxy.inject(fault_proxy.corrupted, key="/a.json")
    assert _load(platform).objects_quarantined == 1
    proxy.heal()
    assert platform.run("ingest_objects").success  # publishes: a replay reads what is published
    assert replay(platform.settings, [], quarantined=True)
    assert platform.published("SELECT id FROM landing_table ORDER BY id") == [("a",), ("b",)]
    assert platform.published("FROM quarantine") == []


def test_an_unreadable_new_version_takes_the_rows_of_the_old_one_away(
    platform: Platform, proxy: FaultProxy
) -> None:
    """They would be numbers that no file says any more."""
    platform.put({"a.json": _record("old"), "b.json": _record("b")})
    _load(platform)
    platform.put({"a.json": _record("newer")})
    proxy.inject(PERMANENT["denied"], key="/a.json")
    assert _load(platform).objects_quarantined == 1
    assert platform.warehouse("SELECT id FROM landing_table") == [("b",)]


def test_a_version_that_was_read_before_stays_when_it_cannot_be_read_again(
    platform: Platform, proxy: FaultProxy
) -> None:
    """A full load would take away rows that were right, and are still."""
    platform.put({"a.json": _record("a"), "b.json": _record("b")})
    _load(platform)
    before = platform.warehouse("FROM landing_table ORDER BY id")
    proxy.inject(fault_proxy.corrupted, key="/a.json")
    assert _load(platform, everything_again=True).objects_deferred == 1
    columns = "SELECT id, record, object_key, object_etag FROM landing_table ORDER BY id"
    assert len(platform.warehouse(columns)) == len(before) == 2
    assert platform.warehouse("SELECT DISTINCT status FROM object_ledger") == [("loaded",)]


@pytest.mark.parametrize("fault", ["throttled", "denied"])
def test_one_new_object_that_cannot_be_read_beside_old_ones_that_can_is_set_aside(
    platform: Platform, proxy: FaultProxy, fault: str
) -> None:
    """The usual tick has one new object: its run would fail until another one comes."""
    platform.put({"a.json": _record("a")})
    _load(platform)
    platform.put({"b.json": _record("b")})
    proxy.inject(LASTING[fault], key="/b.json")
    assert _load(platform).objects_quarantined == 1


# Faults of the store as a whole

WHOLE_STORE = {
    "throttled": TRANSIENT["throttled"],
    "reset": TRANSIENT["reset"],
    "denied": PERMANENT["denied"],
    "expired_403": answers("403 Forbidden", "ExpiredToken"),
    "expired_400": answers("400 Bad Request", "ExpiredToken"),
}


def _state(platform: Platform) -> list[list[Row]]:
    tables = ("object_ledger", "landing_table", "quarantine", "load_history")
    return [platform.warehouse(f"FROM {table} ORDER BY ALL") for table in tables]


@pytest.mark.parametrize("name", WHOLE_STORE)
def test_a_store_that_fails_as_a_whole_is_no_store_of_unreadable_objects(
    platform: Platform, proxy: FaultProxy, name: str
) -> None:
    """All that is new would be quarantined, and what it replaces would leave."""
    platform.put({f"{n}.json": _record(f"old {n}") for n in range(3)})
    _load(platform)
    before = _state(platform)
    platform.put({f"{n}.json": _record(f"new {n}") for n in range(1, 4)})
    proxy.inject(WHOLE_STORE[name], methods=("GET", "HEAD"))
    if "expired" in name:  # between the listing and the first object
        proxy.inject(WHOLE_STORE[name], listings=True, skip=1)
    with pytest.raises(ObjectStoreError, match=r"Cannot (read|list) s3://"):
        _load(platform)
    assert _state(platform) == before
    proxy.heal()
    assert _load(platform).objects_loaded == 3


def test_a_store_that_fails_during_a_load_leaves_nothing_half_loaded(
    platform: Platform, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not read yet would be quarantined because the beginning was read."""
    monkeypatch.setattr(bucket_module, "REQUESTS_IN_FLIGHT", 1)
    platform.put({f"{n}.json": _record(str(n)) for n in range(6)})
    outage = proxy.inject(TRANSIENT["throttled"], skip=3)
    with pytest.raises(ObjectStoreError, match="SlowDown"):
        _load(platform)
    assert outage.hits > 0
    assert platform.warehouse("FROM object_ledger") == []
    proxy.heal()
    assert _load(platform).objects_loaded == 6


@pytest.mark.parametrize(
    ("fault", "is_its_own"), [("archived", True), ("corrupted", True), ("throttled", False)]
)
def test_the_only_object_is_set_aside_if_the_store_answers(
    platform: Platform, proxy: FaultProxy, fault: str, is_its_own: bool
) -> None:
    """No other object can show whether it is the store that fails: what it says does."""
    platform.put({"a.json": _record("a")})
    proxy.inject(LASTING[fault])
    if is_its_own:
        assert _load(platform).objects_quarantined == 1
    else:
        with pytest.raises(ObjectStoreError):
            _load(platform)


@pytest.mark.parametrize("name", ["expired_403", "expired_400"])
def test_expired_credentials_are_named_by_the_sensor_and_the_run(
    platform: Platform, proxy: FaultProxy, name: str
) -> None:
    """Whoever reads it has to know what to renew; and no runs are to be launched meanwhile."""
    platform.put({"a.json": _record("a")})
    requests = platform.evaluate_sensor().run_requests
    assert requests
    tags = dict(requests[0].tags)
    proxy.inject(WHOLE_STORE[name], listings=None, methods=("GET", "HEAD"))
    tick = platform.evaluate_sensor()
    assert not tick.run_requests
    assert "have expired: renew them" in str(tick.skip_message)
    run = platform.run("ingest_objects", tags=tags)
    assert not run.success
    failed = next(event for event in run.all_events if event.is_step_failure)
    assert "have expired: renew them" in str(failed.step_failure_data.error)
    proxy.heal()
    assert platform.run("ingest_objects", tags=tags).success
    assert platform.published("SELECT id FROM landing_table") == [("a",)]


def test_a_listing_that_fails_half_way_is_not_the_whole_bucket(
    platform: Platform, proxy: FaultProxy, tmp_path: Path
) -> None:
    """The objects of its second page would count as deleted, and their rows would leave."""
    file = tmp_path / "file"
    file.write_bytes(_record("a"))
    keys = [platform.bucket.key_of(f"{n:04}.json") for n in range(1_001)]
    platform.bucket.put_files(dict.fromkeys(keys, file), lambda: None)
    assert _load(platform).objects_loaded == len(keys)
    before = _state(platform)
    second_page = proxy.inject(fault_proxy.cut_off, listings=True, skip=1)
    for everything_again in (False, True):
        with pytest.raises(ObjectStoreError, match="Cannot list"):
            _load(platform, everything_again=everything_again, retract=True)
    assert second_page.hits == 2 * retrying.ATTEMPTS
    assert "Not known whether anything is new" in str(platform.evaluate_sensor().skip_message)
    assert _state(platform) == before
    proxy.heal()
    once = proxy.inject(fault_proxy.cut_off, listings=True, skip=1, times=1)
    pages = Bucket(platform.bucket.url, os.environ).pages()
    assert sorted(key for page in pages for key in page["object_key"].to_pylist()) == keys
    assert once.hits == 1


# Objects that change under the reader's hands


def test_an_object_that_changes_between_listing_and_reading_is_left_to_the_next_tick(
    platform: Platform, proxy: FaultProxy
) -> None:
    """Bytes of one version under the name of another would never be found again."""
    platform.put({"a.json": _record("listed"), "b.json": _record("b")})
    overwrite = partial(platform.put, {"a.json": _record("overwritten")})
    proxy.inject(fault_proxy.real, key="/a.json", times=1, before=overwrite)
    summary = _load(platform)
    assert (summary.objects_loaded, summary.objects_deferred) == (1, 1)
    assert _load(platform).objects_loaded == 1
    ids = platform.warehouse("SELECT id FROM landing_table ORDER BY id")
    assert ids == [("b",), ("overwritten",)]


def test_an_object_that_vanishes_between_listing_and_reading_is_no_fault(
    platform: Platform, proxy: FaultProxy
) -> None:
    platform.put({"a.json": _record("a"), "b.json": _record("b")})
    vanish = partial(platform.delete, "a.json")
    proxy.inject(fault_proxy.real, key="/a.json", times=1, before=vanish)
    run = platform.tick()
    assert run is not None
    assert run.success
    assert platform.published("SELECT id FROM landing_table") == [("b",)]
    assert platform.published("FROM quarantine") == []


# ETags


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ],
)
def test_an_etag_that_is_no_digest_of_the_content_is_not_taken_for_one(
    platform: Platform, proxy: FaultProxy, headers: dict[str, str]
) -> None:
    """Of encrypted objects it is none, though it looks like one: none of them would load."""
    content = _record("a")
    platform.put({"a.json": content})
    other = document(credit_request("b"))
    assert len(other) == len(content)
    proxy.inject(fault_proxy.with_body(other), key="/a.json")
    proxy.inject(fault_proxy.with_headers(headers), key="/a.json", methods=("HEAD",))
    assert _load(platform).objects_loaded == 1
    assert [method for method, target in proxy.requests if "/a.json" in target] == ["GET", "HEAD"]
    assert platform.warehouse("SELECT id FROM landing_table") == [("b",)]
    digest = hashlib.sha256(other).hexdigest()
    assert platform.warehouse("SELECT sha256 FROM object_ledger") == [(digest,)]
