"""What becomes of an object over its life: put, put again, changed, broken, mended."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from keycash_assets import loading
from keycash_assets.core import documents
from keycash_assets.core.objects import ObjectVersion
from keycash_assets.definitions import build_definitions
from keycash_assets.errors import WarehouseError
from keycash_assets.loading import load_everything_again, load_everything_new
from keycash_assets.metric import update_credit_per_day
from keycash_assets.publishing import publish
from keycash_assets.reading import FetchedObject
from keycash_assets.sources import fetch_source_files
from keycash_assets.uploading import upload
from keycash_assets.warehouse import connect_to_write, transaction
from keycash_assets_tests.memory_bucket import MemoryBucket
from keycash_assets_tests.platform import Platform, credit_request, document

CURRENT = "SELECT object_key, object_etag, status FROM object_ledger WHERE status <> 'replaced'"
DAYS = (
    "SELECT data_solicitada::VARCHAR, credito_solicitado, requests FROM credit_per_day ORDER BY 1"
)


def _put_and_load(platform: Platform, name: str, content: bytes) -> None:
    """Put an object at a moment of its own, and have the sensor load it."""
    platform.wait_for_another_second()
    platform.put({name: content})
    run = platform.tick()
    assert run is not None
    assert run.success


def test_the_real_files_give_the_published_total(
    platform: Platform, challenge_folder: Path
) -> None:
    """Counting every request, rather than each client's latest, gives 69,699,664."""
    files = fetch_source_files(str(challenge_folder), platform.settings.home / "raw_files").files
    assert upload(platform.bucket, files).put == 50
    assert platform.tick() is not None
    ((days, total, requests),) = platform.published(
        "SELECT count(*), sum(credito_solicitado), sum(requests) FROM credit_per_day"
    )
    assert (days, total, requests) == (31, Decimal("66977570.00"), 241)
    ((records, every_request),) = platform.published(
        "SELECT count(*), sum(credito_solicitado) FROM landing_table"
    )
    assert (records, every_request) == (250, Decimal("69699664.00"))
    ((files_of_record,),) = platform.published(
        "SELECT count(DISTINCT object_key) FROM landing_table WHERE problems IS NULL"
    )
    assert files_of_record == 50


def test_an_overwrite_replaces_the_rows_and_logs_the_restatement(platform: Platform) -> None:
    """Old rows that stay would count twice; a total that changes unexplained is not trusted."""
    _put_and_load(platform, "a.json", document(credit_request("c1", 100), credit_request("c2", 7)))
    _put_and_load(platform, "a.json", document(credit_request("c1", 250)))
    assert platform.published("SELECT id, credito_solicitado FROM landing_table") == [
        ("c1", Decimal("250.00"))
    ]
    assert platform.published(DAYS) == [("2022-01-02", Decimal("250.00"), 1)]
    assert platform.published("SELECT status FROM object_ledger ORDER BY finished_at") == [
        ("replaced",),
        ("loaded",),
    ]
    changes = platform.published(
        "SELECT old_credito_solicitado, new_credito_solicitado, object_keys "
        "FROM credit_per_day_changes ORDER BY changed_at"
    )
    key = platform.bucket.key_of("a.json")
    assert changes == [
        (None, Decimal("107.00"), [key]),
        (Decimal("107.00"), Decimal("250.00"), [key]),
    ]


def test_the_same_content_put_again_is_unchanged(platform: Platform) -> None:
    """Loading it again would cost a load and a restatement for nothing."""
    content = document(credit_request())
    _put_and_load(platform, "a.json", content)
    rows = platform.published("FROM landing_table")
    _put_and_load(platform, "a.json", content)
    assert platform.published("FROM landing_table") == rows
    assert platform.published("SELECT status, records FROM object_ledger") == [("unchanged", 1)]
    assert platform.published("SELECT count(*) FROM credit_per_day_changes") == [(1,)]


def test_a_broken_version_takes_its_rows_away_and_a_mended_one_brings_them_back(
    platform: Platform,
) -> None:
    """Rows of the version before would be numbers that no file says any more."""
    good = document(credit_request("c1", 100))
    _put_and_load(platform, "a.json", good)
    _put_and_load(platform, "a.json", good[:-9])
    assert platform.published("FROM landing_table") == []
    assert platform.published(DAYS) == []
    assert len(platform.published("FROM quarantine")) == 1
    _put_and_load(platform, "a.json", document(credit_request("c1", 300)))
    assert platform.published("FROM quarantine") == []
    assert platform.published(DAYS) == [("2022-01-02", Decimal("300.00"), 1)]


def test_a_version_that_comes_back_is_loaded_again(platform: Platform) -> None:
    """A memory of contents alone would take the third upload for one it knows."""
    first, second = document(credit_request("c1", 1)), document(credit_request("c1", 2))
    for content in (first, second, first):
        _put_and_load(platform, "a.json", content)
    assert platform.published(DAYS) == [("2022-01-02", Decimal("1.00"), 1)]
    assert len(platform.published(CURRENT)) == 1


def test_the_same_content_under_another_key_counts_once_for_its_client(platform: Platform) -> None:
    content = document(credit_request("c1", 100))
    _put_and_load(platform, "a.json", content)
    _put_and_load(platform, "b.json", content)
    assert platform.published("SELECT count(*) FROM landing_table") == [(2,)]
    assert platform.published(DAYS) == [("2022-01-02", Decimal("100.00"), 1)]
    winner = platform.published("SELECT object_key FROM credit_requests WHERE is_latest")
    assert winner == [(platform.bucket.key_of("b.json"),)]


def test_a_later_request_in_an_earlier_file_is_the_one_that_counts(platform: Platform) -> None:
    """Files do not arrive in the order of what they say."""
    late = document(credit_request("c1", 900, "01/05/2022 09:00"))
    early = document(credit_request("c1", 100, "01/02/2022 09:00"))
    _put_and_load(platform, "a.json", late)
    _put_and_load(platform, "b.json", early)
    assert platform.published(DAYS) == [("2022-01-05", Decimal("900.00"), 1)]


def test_a_full_load_changes_nothing_and_says_so(platform: Platform) -> None:
    platform.put({f"{n}.json": document(credit_request(f"c{n % 3}", n)) for n in range(6)})
    platform.put({"broken.json": b"{", "lines.ndjson": document(credit_request()) + b"\n{"})
    assert platform.tick() is not None
    what = (
        "SELECT * EXCLUDE (loaded_at, run_id) FROM landing_table ORDER BY object_key, record_index"
    )
    before = platform.published(what), platform.published(DAYS)
    run = platform.run("full_load")
    assert run.success
    assert (platform.published(what), platform.published(DAYS)) == before
    assert platform.published(
        "SELECT differing_objects, differing_days FROM load_history WHERE kind = 'full'"
    ) == [([], [])]
    assert platform.published("SELECT count(*) FROM credit_per_day_changes") == [(1,)]


def test_a_full_load_mends_what_somebody_damaged_and_names_it(platform: Platform) -> None:
    """A rebuild that repairs in silence hides that numbers were wrong."""
    platform.put({"a.json": document(credit_request("c1", 100))})
    assert platform.tick() is not None
    platform.damage("UPDATE landing_table SET credito_solicitado = 5")
    run = platform.run("full_load")
    assert platform.published(DAYS) == [("2022-01-02", Decimal("100.00"), 1)]
    ((objects,),) = platform.published(
        "SELECT differing_objects FROM load_history WHERE kind = 'full'"
    )
    assert objects == [platform.bucket.key_of("a.json")]
    failed = [check.check_name for check in run.get_asset_check_evaluations() if not check.passed]
    assert failed == ["full_load_agrees"]


def test_a_full_load_after_a_killed_run_finds_nothing_wrong(tmp_path: Path) -> None:
    """It would name days that differ: only the metric of a run killed after its load is missing."""
    bucket = MemoryBucket()
    with closing(connect_to_write(str(tmp_path / "keycash.duckdb"))) as connection:
        for client in ("c1", "c2"):
            bucket.put("prefix/a.json", document(credit_request(client, 100)))
            load_everything_new(connection, bucket, "killed before its metric")
        summary = load_everything_again(connection, bucket, "full")
        assert (summary.differing_days, summary.differing_objects) == ((), ())
        assert connection.execute("SELECT sum(requests) FROM credit_per_day").fetchall() == [(1,)]


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_of_requests_of_the_same_moment_that_of_the_greatest_key_counts_in_any_order(
    order: tuple[str, ...], tmp_path: Path
) -> None:
    """An update reads no keys of old requests where the moment decides: here it does not."""
    amounts = {"a": 1, "b": 20, "c": 300}
    bucket = MemoryBucket()
    with closing(connect_to_write(str(tmp_path / "keycash.duckdb"))) as connection:
        for number, name in enumerate(order, 1):
            bucket.put(f"prefix/{name}.json", document(credit_request("c1", amounts[name])))
            load_everything_new(connection, bucket, "run")
            with transaction(connection):
                update_credit_per_day(connection, "run", datetime.now(timezone.utc))
            counting = amounts[max(order[:number])]
            assert connection.execute(DAYS).fetchall() == [("2022-01-02", counting, 1)]


def test_a_restatement_names_the_file_of_the_later_request_and_an_earlier_one_restates_nothing(
    tmp_path: Path,
) -> None:
    """What is compared has no key where the moment decides: none must get into the log."""
    bucket = MemoryBucket()
    with closing(connect_to_write(str(tmp_path / "keycash.duckdb"))) as connection:
        for name, day in (("b", "01/02/2022"), ("c", "01/01/2022"), ("a", "01/03/2022")):
            bucket.put(f"prefix/{name}.json", document(credit_request("c1", 100, f"{day} 10:00")))
            load_everything_new(connection, bucket, name)
            with transaction(connection):
                update_credit_per_day(connection, name, datetime.now(timezone.utc))
        restatements = connection.execute(
            "SELECT run_id, data_solicitada::VARCHAR, object_keys FROM credit_per_day_changes "
            "ORDER BY changed_at, data_solicitada"
        ).fetchall()
    assert restatements == [
        ("b", "2022-01-02", ["prefix/b.json"]),
        ("a", "2022-01-02", ["prefix/a.json"]),
        ("a", "2022-01-03", ["prefix/a.json"]),
    ]


def test_a_retraction_that_only_the_policy_brings_about_is_a_load(tmp_path: Path) -> None:
    """Publishing by itself would forget which requests the metric still has to take out."""
    bucket = MemoryBucket()
    warehouse = tmp_path / "keycash.duckdb"
    published = tmp_path / "published" / "keycash.duckdb"
    bucket.put("prefix/a.json", document(credit_request("c1", 100)))
    with closing(connect_to_write(str(warehouse))) as connection, ExitStack() as lease:
        load_everything_new(connection, bucket, "loaded")
        bucket.delete("prefix/a.json")
        load_everything_new(connection, bucket, "kept")
        with transaction(connection):
            update_credit_per_day(connection, "metric", datetime.now(timezone.utc))
        retracted = load_everything_new(connection, bucket, "killed", retract=True)
        assert retracted.objects_deleted == 1
        with pytest.raises(WarehouseError, match="has not taken in the load of run killed"):
            publish(connection, str(warehouse), published, "publishing alone", lease)
        with transaction(connection):
            update_credit_per_day(connection, "metric", datetime.now(timezone.utc))
        assert connection.execute("FROM credit_per_day").fetchall() == []
        assert load_everything_new(connection, bucket, "again", retract=True).objects_seen == 0


class _TwoVersionsOfOneKey(MemoryBucket):
    """Lists y and y/, of which S3 would hand out both if y were overwritten in between."""

    def pages(self, after: str | None = None) -> Iterator[pa.Table]:
        for content in (b"[1]", b"[2]"):
            self.put("prefix/y", content)
            yield from super().pages(after)

    def fetch(self, versions: Sequence[ObjectVersion]) -> list[FetchedObject]:
        return [FetchedObject(version, b"[1]", version.etag) for version in versions]


def test_a_load_takes_in_one_version_of_a_key(tmp_path: Path) -> None:
    """The rows of both would stand beside each other."""
    with closing(connect_to_write(str(tmp_path / "keycash.duckdb"))) as connection:
        summary = load_everything_new(connection, _TwoVersionsOfOneKey(), "run")
        assert (summary.objects_loaded, summary.objects_deferred) == (1, 1)
        rows = connection.execute("SELECT record FROM landing_table").fetchall()
        assert rows == [("1",)]


def test_records_of_thousands_of_fields_are_typed_like_any_other(tmp_path: Path) -> None:
    """Fields are taken apart by their places: one place off, and others would be lost."""
    more: dict[str, Any] = {f"field {number}": number for number in range(2_500)}
    bucket = MemoryBucket()
    bucket.put("prefix/a.json", document(*[{**credit_request("c1", 100), **more}] * 20))
    with closing(connect_to_write(str(tmp_path / "keycash.duckdb"))) as connection:
        load_everything_new(connection, bucket, "run")
        rows = connection.execute("SELECT id, extra, problems FROM landing_table").fetchall()
    assert [(client, json.loads(extra), problems) for client, extra, problems in rows] == [
        ("c1", more, None)
    ] * 20


def test_what_is_inserted_at_once_is_bounded_in_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small records take a hundred times the memory of their text, and so do unreadable lines."""
    sizes = []

    def insert(
        connection: object, tables: Mapping[str, pa.Table], summary: loading.LoadSummary
    ) -> None:
        sizes.append(sum(map(len, tables.values())))

    monkeypatch.setattr(loading, "_insert", insert)
    monkeypatch.setattr(loading, "INSERT_ROWS", 100)
    monkeypatch.setattr(documents, "PART_BYTES", 20)
    bucket = MemoryBucket()
    for name, unit in (("records", b"0\n"), ("lines that are not JSON", b"x\n0\n")):
        bucket.put(f"prefix/{name}", unit * 1_000)
    with closing(connect_to_write(str(tmp_path / "keycash.duckdb"))) as connection:
        load_everything_new(connection, bucket, "run")
    assert sum(sizes) == 3_000
    assert max(sizes) <= 120


def test_an_object_that_vanishes_keeps_its_rows(platform: Platform) -> None:
    _put_and_load(platform, "a.json", document(credit_request("c1", 100)))
    platform.delete("a.json")
    _put_and_load(platform, "b.json", document(credit_request("c2", 1)))
    assert platform.published(DAYS) == [("2022-01-02", Decimal("101.00"), 2)]
    assert platform.run("full_load").success
    assert platform.published(DAYS) == [("2022-01-02", Decimal("101.00"), 2)]


def _deleted(platform: Platform, policy: str) -> None:
    """One of two objects of a day is loaded, deleted, and found missing by a tick."""
    platform.put({"a.json": document(credit_request("c1", 100))})
    platform.put({"b.json": document(credit_request("c2", 7))})
    assert platform.tick() is not None
    platform.delete("b.json")
    platform.settings = replace(platform.settings, deleted_objects=policy)
    platform.definitions = build_definitions(platform.settings)
    run = platform.tick()
    assert run is not None
    assert run.success
    status = "SELECT status FROM object_ledger WHERE object_key LIKE '%/b.json'"
    assert platform.published(status) == [("deleted",)]
    assert platform.tick() is None


def test_a_deleted_object_keeps_its_rows_by_default(platform: Platform) -> None:
    """A bucket whose files expire must not empty the chart."""
    _deleted(platform, "keep")
    assert platform.published(DAYS) == [("2022-01-02", Decimal("107.00"), 2)]
    assert platform.published("SELECT count(*) FROM credit_per_day_changes") == [(1,)]


def test_a_deleted_object_is_retracted_with_a_restatement_where_that_is_set(
    platform: Platform,
) -> None:
    """A request that was withdrawn must not count, and the log must say which file caused it."""
    _deleted(platform, "retract")
    assert platform.published(DAYS) == [("2022-01-02", Decimal("100.00"), 1)]
    ((old, new, keys),) = platform.published(
        "SELECT old_credito_solicitado, new_credito_solicitado, object_keys "
        "FROM credit_per_day_changes ORDER BY changed_at DESC LIMIT 1"
    )
    assert (old, new, keys) == (Decimal(107), Decimal(100), [platform.bucket.key_of("b.json")])
    platform.put({"b.json": document(credit_request("c2", 7))})
    assert platform.tick() is not None
    assert platform.published(DAYS) == [("2022-01-02", Decimal("107.00"), 2)]


def test_the_replay_job_opens_what_stands_in_quarantine_or_what_is_named(
    platform: Platform,
) -> None:
    """What could not be read once, by the store or the rules of then, is read again at will."""
    platform.put({"a.json": document(credit_request("c1")), "b.json": b"{"})
    assert platform.tick() is not None
    platform.damage("UPDATE quarantine SET reason = 'of old rules'")
    assert platform.run("replay_objects").success
    assert platform.published("SELECT reason = 'of old rules' FROM quarantine") == [(False,)]
    counts = "SELECT objects_loaded, objects_quarantined FROM load_history"
    replayed = f"{counts} WHERE kind = 'replay'"
    assert platform.published(replayed) == [(0, 1)]
    keys = {"replay_keys": [platform.bucket.key_of("a.json")]}
    settings = {"ops": {"landing_table": {"config": keys}}}
    assert platform.run("replay_objects", config=settings).success
    assert platform.published(f"{replayed} ORDER BY started_at") == [(0, 1), (1, 0)]
    assert platform.published("SELECT count(*) FROM landing_table") == [(1,)]
