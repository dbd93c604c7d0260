"""Readers see the state after a complete, checked run, or the one before."""

import filecmp
import random
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from keycash_assets.block_copy import HEADER_BYTES, copy_blocks
from keycash_assets.definitions import build_definitions
from keycash_assets.errors import WarehouseError
from keycash_assets_tests.platform import Platform, credit_request, document

READER = """
import sys, time, duckdb
published, stop = sys.argv[1:]
import pathlib
reads = 0
while not pathlib.Path(stop).exists():
    with duckdb.connect(published, read_only=True) as connection:
        ((by_day, by_request, records),) = connection.execute(
            "SELECT (SELECT sum(credito_solicitado) FROM credit_per_day), "
            "(SELECT sum(credito_solicitado) FROM credit_requests WHERE is_latest), "
            "(SELECT count(*) FROM landing_table)").fetchall()
    assert by_day == by_request == records * 100, (by_day, by_request, records)
    reads += 1
print(reads)
"""


def test_a_reader_in_another_process_never_sees_an_error_or_a_part(
    platform: Platform, tmp_path: Path
) -> None:
    platform.put({"0.json": document(credit_request("c0"))})
    assert platform.tick() is not None
    stop = tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(platform.settings.published), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for number in range(1, 9):
        platform.put({f"{number}.json": document(credit_request(f"c{number}"))})
        run = platform.tick()
        assert run is not None
        assert run.success
    stop.touch()
    printed, errors = reader.communicate(timeout=30)
    assert reader.returncode == 0, errors
    assert int(printed) > 8


def test_what_the_metric_has_not_taken_in_is_not_published(platform: Platform) -> None:
    """Records and totals of different moments would stand beside each other."""
    platform.put({"a.json": document(credit_request("c1"))})
    assert platform.tick() is not None
    platform.damage("UPDATE load_history SET credit_per_day_at = NULL")
    with pytest.raises(WarehouseError, match="Materialize credit_per_day first"):
        (platform.definitions.resources or {})["warehouse"].publish("a run")


def test_a_snapshot_that_cannot_be_written_leaves_the_one_before(platform: Platform) -> None:
    platform.put({"a.json": document(credit_request("c1"))})
    assert platform.tick() is not None
    (platform.settings.home / "file").write_text("not a folder")
    elsewhere = replace(platform.settings, published=platform.settings.home / "file" / "x.duckdb")
    broken = Platform(elsewhere, platform.bucket, platform.instance, build_definitions(elsewhere))
    platform.put({"b.json": document(credit_request("c2"))})
    run = broken.run("ingest_objects")
    assert not run.success
    assert "Readers still see the one before" in str(run.all_events)
    assert platform.published("SELECT count(*) FROM landing_table") == [(1,)]
    assert platform.run("ingest_objects").success
    assert platform.published("SELECT sum(credito_solicitado) FROM credit_per_day") == [
        (Decimal("200.00"),)
    ]


def test_what_a_killed_publication_left_is_cleaned_up(platform: Platform) -> None:
    """Otherwise each kill would leave a whole copy on the disk."""
    left_over = platform.settings.published.with_name(".keycash.duckdb.12345")
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"half a copy")
    platform.put({"a.json": document(credit_request("c1"))})
    assert platform.tick() is not None
    assert not left_over.exists()


def test_only_what_changed_is_written_and_the_snapshot_is_the_warehouse_byte_by_byte(
    tmp_path: Path,
) -> None:
    """A block that is passed over although it changed would be a number from before."""
    chance = random.Random(1)  # noqa: S311  no secret
    warehouse, copy = tmp_path / "warehouse.duckdb", tmp_path / "copy.duckdb"
    copy.touch()
    fill = "INSERT INTO t SELECT range, md5(range::VARCHAR) FROM range(?)"
    changes = [
        ("INSERT INTO t VALUES (?, 'new')", 7),
        ("DELETE FROM t WHERE id % 1000 = ?", 3),
        ("UPDATE t SET text = 'changed' WHERE id = ?", 5),
        ("DELETE FROM t WHERE id > ?", 400_000),
        (fill, 300_000),
    ]
    with duckdb.connect(warehouse) as connection:
        connection.execute("CREATE TABLE t (id BIGINT, text VARCHAR)")
        connection.execute(fill, [1_000_000])
        written = []
        for change, value in [changes[0], *chance.choices(changes, k=12)]:
            connection.execute(change, [value])
            connection.execute("CHECKPOINT")
            with warehouse.open("rb") as source, copy.open("r+b") as target:
                written.append(copy_blocks(source, target, 262_144))
            assert filecmp.cmp(warehouse, copy, shallow=False), change
    assert min(written) < written[0] / 10
    with warehouse.open("rb") as source, copy.open("r+b") as target:
        assert copy_blocks(source, target, 262_144) == HEADER_BYTES


def test_a_snapshot_that_a_reader_has_open_is_not_written_over(
    platform: Platform, tmp_path: Path
) -> None:
    """A reader that is at it for longer than a run would see two states in one."""
    script = (
        "import sys, duckdb\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(connection.execute('SELECT count(*) FROM landing_table').fetchall())\n"
    )

    def tick(number: int) -> None:
        platform.put({f"{number}.json": document(credit_request(f"c{number}"))})
        run = platform.tick()
        assert run is not None
        assert run.success

    tick(1)
    published = platform.settings.published
    first = published.stat().st_ino
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    # Not through DuckDB: it answers small questions from what it read when it opened the file.
    with published.open("rb") as seen:
        before = seen.read()
        tick(2)
        tick(3)
        seen.seek(0)
        assert seen.read() == before
    printed, _ = reader.communicate("\n", timeout=30)
    assert printed == "[(1,)]\n"
    assert platform.published("SELECT count(*) FROM landing_table") == [(3,)]
    assert published.stat().st_ino != first


def test_the_snapshot_before_is_written_over_once_nobody_reads_it(platform: Platform) -> None:
    """Whole copies each time would look the same, and cost what is stored."""
    files = []
    for number in range(3):
        platform.put({f"{number}.json": document(credit_request(f"c{number}"))})
        assert platform.tick() is not None
        files.append(platform.settings.published.stat().st_ino)
    assert files[2] == files[0] != files[1]


def test_a_full_load_mends_what_a_disk_did_to_the_snapshots(platform: Platform) -> None:
    """A block that is damaged behind its checksum would be handed on from copy to copy."""
    for number in range(2):
        platform.put({f"{number}.json": document(credit_request(f"c{number}"))})
        assert platform.tick() is not None
    published = platform.settings.published
    for path in (published, published.with_name(f".{published.name}.previous")):
        with path.open("r+b") as file:
            file.seek(HEADER_BYTES + 1_000)
            damaged = bytes(255 - byte for byte in file.read(100))
            file.seek(HEADER_BYTES + 1_000)
            file.write(damaged)
    assert platform.run("full_load").success
    for number in range(2, 5):
        platform.put({f"{number}.json": document(credit_request(f"c{number}"))})
        assert platform.tick() is not None
        assert filecmp.cmp(platform.settings.warehouse, published, shallow=False)


def test_a_kill_between_the_second_name_and_the_swap_leaves_readers_what_they_had(
    platform: Platform,
) -> None:
    """The file under both names is the published one: writing to it would tear it."""
    published = platform.settings.published
    platform.put({"a.json": document(credit_request("c1"))})
    assert platform.tick() is not None
    previous = published.with_name(f".{published.name}.previous")
    previous.unlink(missing_ok=True)
    previous.hardlink_to(published)
    with published.open("rb") as seen:
        before = seen.read()
        platform.put({"b.json": document(credit_request("c2"))})
        assert platform.tick() is not None
        seen.seek(0)
        assert seen.read() == before
    assert platform.published("SELECT count(*) FROM landing_table") == [(2,)]
