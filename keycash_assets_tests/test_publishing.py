"""Readers see the state after a complete, checked run, or the one before."""

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

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
    assert list(left_over.parent.iterdir()) == [platform.settings.published]
