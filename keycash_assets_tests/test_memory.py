"""A run takes no more memory than is stated, whatever the size of what it loads.

`make memory` is the long form: an object of 2 GB, a document of 500 MB, 100,000 objects.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keycash_assets_tests.platform import Platform, credit_request
from keycash_assets_tests.run_process import Order, RunProcesses

MEMORY_BYTES = 5 * 1024**3 // 2
"""The stated limit: resident memory of a run's process at its peak."""

IS_LONG = os.environ.get("KEYCASH_MEMORY") == "long"
LINES_BYTES = 2 * 10**9 if IS_LONG else 150 * 10**6
DOCUMENT_BYTES = 500 * 10**6 if IS_LONG else 100 * 10**6
SMALL_OBJECTS = 100_000 if IS_LONG else 2_000

PATIENCE_SECONDS = 1_800
COUNTS = "SELECT (SELECT count(*) FROM landing_table), (SELECT sum(requests) FROM credit_per_day)"


def _records(count_bytes: int) -> Iterator[bytes]:
    """Records of distinct clients, about as many bytes of them."""
    written = 0
    number = 0
    while written < count_bytes:
        request = credit_request(f"client-{number:032d}", number % 500_000)
        record = json.dumps(request).encode()
        written += len(record) + 2
        number += 1
        yield record


def _assert_is_loaded_within_bounds(
    platform: Platform, run_processes: RunProcesses, files: dict[str, Path], records: int
) -> None:
    """Load files as they arrive, and then everything anew: with checks, and until published."""
    bucket = platform.bucket
    bucket.put_files({bucket.key_of(name): path for name, path in files.items()}, lambda: None)
    for job in ("ingest_objects", "full_load"):
        result = run_processes.start(Order(job)).finish(PATIENCE_SECONDS)
        assert result["success"], result["error"]
        assert platform.published(COUNTS) == [(records, records)]
        peak = result["peak_memory_bytes"]
        print(  # noqa: T201  the figure is what the long form is for
            f"{job}, {len(files):,} objects, {records:,} records: "
            f"peak {peak / 1024**2:,.0f} MiB, {result['seconds']:,.0f} s"
        )
        assert peak < MEMORY_BYTES


def test_an_object_of_many_lines_is_read_within_the_stated_memory(
    platform: Platform, run_processes: RunProcesses, tmp_path: Path
) -> None:
    """A reader that holds an object whole is killed by its first large one."""
    path = tmp_path / "lines.ndjson"
    count = 0
    with path.open("wb") as file:
        for record in _records(LINES_BYTES):
            file.write(record + b"\n")
            count += 1
    _assert_is_loaded_within_bounds(platform, run_processes, {"lines.ndjson": path}, count)


def test_a_large_document_is_read_within_the_stated_memory(
    platform: Platform, run_processes: RunProcesses, tmp_path: Path
) -> None:
    path = tmp_path / "document.json"
    count = 0
    with path.open("wb") as file:
        file.write(b'{"clientes": [')
        for record in _records(DOCUMENT_BYTES):
            file.write((b", " if count else b"") + record)
            count += 1
        file.write(b"]}")
    _assert_is_loaded_within_bounds(platform, run_processes, {"document.json": path}, count)


def test_many_small_objects_are_read_within_the_stated_memory(
    platform: Platform, run_processes: RunProcesses, tmp_path: Path
) -> None:
    files = {}
    for number in range(SMALL_OBJECTS):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps([credit_request(f"c{number}")]))
        files[path.name] = path
    _assert_is_loaded_within_bounds(platform, run_processes, files, SMALL_OBJECTS)


@pytest.fixture(autouse=True)
def _room_for_large_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
