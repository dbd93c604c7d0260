"""A run takes no more memory than is stated, whatever the size of what it loads.

`make memory` is the long form: an object of 2 GB, documents of 2 GB, 100,000 objects, and objects
made to take as much memory as they can.
"""

import gzip
import json
import multiprocessing
import os
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from keycash_assets.core.documents import mapped, read_parts
from keycash_assets_tests.platform import Platform, credit_request
from keycash_assets_tests.run_process import Order, RunProcesses

MEMORY_BYTES = 5 * 1024**3 // 2
"""The stated limit: resident memory of a run's process at its peak."""

ENDLESS_MEMORY_BYTES = 640 * 1024**2
"""The same where nothing is loaded, which is what a run takes at the least, and as much again."""

READER_MEMORY_BYTES = 128 * 1024**2
"""What reading may take beside the text, and at once: of the short form too it is a part."""

IS_LONG = os.environ.get("KEYCASH_MEMORY") == "long"

LARGE_BYTES = 2 * 10**9 if IS_LONG else 30 * 10**6
READ_BYTES = 4 * 10**9 if IS_LONG else 250 * 10**6
ENDLESS_BYTES = 300 * 10**6 if IS_LONG else 100 * 10**6
SMALL_ROWS = 35 * 10**6 if IS_LONG else 200_000
SMALL_OBJECTS = 100_000 if IS_LONG else 2_000

PATIENCE_SECONDS = 1_800
COUNTS = (
    "SELECT (SELECT count(*) FROM landing_table), "
    "(SELECT coalesce(sum(requests), 0) FROM credit_per_day), (SELECT count(*) FROM quarantine)"
)


def _records(count_bytes: int, padding: int = 0) -> Iterator[bytes]:
    """Records of distinct clients, about as many bytes of them, with a field of so many more."""
    written = 0
    number = 0
    while written < count_bytes:
        request = credit_request(f"client-{number:032d}", number % 500_000)
        if padding:
            request["observacao"] = "x" * padding
        record = json.dumps(request).encode()
        written += len(record) + 2
        number += 1
        yield record


def _assert_is_loaded_within_bounds(
    platform: Platform,
    run_processes: RunProcesses,
    files: dict[str, Path],
    records: int,
    counts: tuple[int, int] | None = None,
    limit: int = MEMORY_BYTES,
) -> None:
    """Load files as they arrive, and then everything anew: with checks, and until published.

    Records count, each for a client of its own, or ``counts`` says how many do and how many rows
    stand in quarantine.
    """
    bucket = platform.bucket
    bucket.put_files({bucket.key_of(name): path for name, path in files.items()}, lambda: None)
    for job in ("ingest_objects", "full_load"):
        result = run_processes.start(Order(job)).finish(PATIENCE_SECONDS)
        assert result["success"], result["error"]
        assert platform.published(COUNTS) == [(records, *(counts or (records, 0)))]
        peak = result["peak_memory_bytes"]
        print(  # noqa: T201  the figure is what the long form is for
            f"{job}, {len(files):,} objects, {records:,} records: "
            f"peak {peak / 1024**2:,.0f} MiB, {result['seconds']:,.0f} s"
        )
        assert peak < limit


def _read(path: str, is_compressed: bool) -> tuple[int, int]:
    """Read a file in this process: how many elements it has, and how much memory that took."""
    with Path(path).open("rb") as file:
        data = file.read() if is_compressed else mapped(file)
        next(iter(read_parts(b"[1]\n[2]")))  # what is imported is not what is measured
        unit = 1 if sys.platform == "darwin" else 1024
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        count = sum(len(part.elements) for part in read_parts(data))
        return count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        pytest.param(b"", b"\n", b"\n", id="lines"),
        pytest.param(b"\n \n[", b", ", b"]\n ", id="an array"),
        pytest.param(b'{"clientes": [', b", ", b"]}", id="a document"),
    ],
)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_reading_takes_the_memory_of_a_part(
    tmp_path: Path, before: bytes, between: bytes, after: bytes, is_compressed: bool
) -> None:
    """A reader that takes in an object whole goes unnoticed until the first large one comes."""
    path = tmp_path / "object"
    count = 0
    with gzip.open(path, "wb", 1) if is_compressed else path.open("wb") as file:
        file.write(before)
        for record in _records(READ_BYTES, 20_000):
            file.write((between if count else b"") + record)
            count += 1
        file.write(after)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        found, memory_bytes = pool.submit(_read, str(path), is_compressed).result()
    assert found == count
    assert memory_bytes < READER_MEMORY_BYTES


@pytest.mark.parametrize("padding", [0, 20_000, 60_000])
def test_an_object_of_many_lines_is_read_within_the_stated_memory(
    platform: Platform, run_processes: RunProcesses, tmp_path: Path, padding: int
) -> None:
    """A reader that holds an object whole is killed by its first large one."""
    path = tmp_path / "lines.ndjson"
    count = 0
    with path.open("wb") as file:
        for record in _records(LARGE_BYTES, padding):
            file.write(record + b"\n")
            count += 1
    _assert_is_loaded_within_bounds(platform, run_processes, {"lines.ndjson": path}, count)


def test_a_large_document_is_read_within_the_stated_memory(
    platform: Platform, run_processes: RunProcesses, tmp_path: Path
) -> None:
    """A document is one JSON value, which most parsers take in as a whole."""
    path = tmp_path / "document.json"
    count = 0
    with path.open("wb") as file:
        file.write(b'{"clientes": [')
        for record in _records(LARGE_BYTES):
            file.write((b", " if count else b"") + record)
            count += 1
        file.write(b"]}")
    _assert_is_loaded_within_bounds(platform, run_processes, {"document.json": path}, count)


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        pytest.param(b"[", b"0,", b"0]", id="an array"),
        pytest.param(b"", b"0\n", b"0", id="lines"),
        pytest.param(b"0\n", b"x\n", b"", id="lines that are not JSON"),
    ],
)
def test_rows_of_a_byte_each_are_read_within_the_stated_memory(
    platform: Platform,
    run_processes: RunProcesses,
    tmp_path: Path,
    before: bytes,
    unit: bytes,
    after: bytes,
) -> None:
    """Each takes a hundred times as much memory as its text, and more if it is an offender."""
    path = tmp_path / "bytes.json"
    path.write_bytes(before + unit * SMALL_ROWS + after)
    records, quarantined = (SMALL_ROWS + 1, 0) if after else (1, SMALL_ROWS)
    _assert_is_loaded_within_bounds(
        platform, run_processes, {path.name: path}, records, (0, quarantined)
    )


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        pytest.param(b"0\n", b"x", b"", id="a line"),
        pytest.param(b'["', b"0,", b'"]', id="a record"),
        pytest.param(b"{", b'"a":0,', b'"clientes":[1]}', id="fields"),
        pytest.param(b'{"clientes": [', b"{},", b"", id="a document cut short"),
        pytest.param(b"[", b"[", b"", id="brackets"),
    ],
)
def test_what_does_not_end_is_read_within_the_stated_memory(
    platform: Platform,
    run_processes: RunProcesses,
    tmp_path: Path,
    before: bytes,
    unit: bytes,
    after: bytes,
) -> None:
    """The system kills a run that takes too much, and the next one tries the same object again."""
    path = tmp_path / "endless.json"
    path.write_bytes(before + unit * (ENDLESS_BYTES // len(unit)) + after)
    records = int(before == b"0\n")
    _assert_is_loaded_within_bounds(
        platform, run_processes, {path.name: path}, records, (0, 1), ENDLESS_MEMORY_BYTES
    )


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
