"""A load takes no more memory than is stated, whatever the size of what it loads.

`make memory` is the long form: an object of 2 GB, a document of 500 MB, 100,000 objects.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keycash_assets.bucket import Bucket
from keycash_assets_tests.platform import credit_request

MEMORY_BYTES = 2 * 1024**3
"""The stated limit: resident memory of a run's process at its peak."""

IS_LONG = os.environ.get("KEYCASH_MEMORY") == "long"
LINES_BYTES = 2 * 10**9 if IS_LONG else 150 * 10**6
DOCUMENT_BYTES = 500 * 10**6 if IS_LONG else 100 * 10**6
SMALL_OBJECTS = 100_000 if IS_LONG else 2_000

LOADER = """
import json, os, resource, sys
from datetime import datetime, timezone
from keycash_assets.bucket import bucket_of
from keycash_assets.loading import load_everything_new
from keycash_assets.metric import update_credit_per_day
from keycash_assets.settings import Settings
from keycash_assets.warehouse import connect_to_write, transaction

settings = Settings.from_environment(os.environ)
connection = connect_to_write(settings.warehouse)
summary = load_everything_new(connection, bucket_of(settings, os.environ), "run")
with transaction(connection):
    update_credit_per_day(connection, "run", datetime.now(timezone.utc))
((requests,),) = connection.execute("SELECT sum(requests) FROM credit_per_day").fetchall()
connection.close()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([summary.records, summary.objects_loaded, int(requests), peak]))
"""


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


def _load(bucket: Bucket, files: dict[str, Path]) -> tuple[int, int]:
    """Put the files, load them in a process of its own; records loaded and peak memory."""
    bucket.put_files({bucket.key_of(name): path for name, path in files.items()}, lambda: None)
    done = subprocess.run(
        [sys.executable, "-c", LOADER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    records, objects, requests, peak = json.loads(done.stdout)
    assert objects == len(files)
    assert requests == records
    print(f"{len(files):,} objects, {records:,} records: peak {peak / 1024**2:,.0f} MiB")  # noqa: T201  the figure is what the long form is for
    return records, peak


def test_an_object_of_many_lines_is_read_within_the_stated_memory(
    environment: dict[str, str], bucket: Bucket, tmp_path: Path
) -> None:
    """A reader that holds an object whole is killed by its first large one."""
    path = tmp_path / "lines.ndjson"
    count = 0
    with path.open("wb") as file:
        for record in _records(LINES_BYTES):
            file.write(record + b"\n")
            count += 1
    records, peak = _load(bucket, {"lines.ndjson": path})
    assert records == count
    assert peak < MEMORY_BYTES


def test_a_large_document_is_read_within_the_stated_memory(
    environment: dict[str, str], bucket: Bucket, tmp_path: Path
) -> None:
    path = tmp_path / "document.json"
    count = 0
    with path.open("wb") as file:
        file.write(b'{"clientes": [')
        for record in _records(DOCUMENT_BYTES):
            file.write((b", " if count else b"") + record)
            count += 1
        file.write(b"]}")
    records, peak = _load(bucket, {"document.json": path})
    assert records == count
    assert peak < MEMORY_BYTES


def test_many_small_objects_are_read_within_the_stated_memory(
    environment: dict[str, str], bucket: Bucket, tmp_path: Path
) -> None:
    files = {}
    for number in range(SMALL_OBJECTS):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps([credit_request(f"c{number}")]))
        files[path.name] = path
    records, peak = _load(bucket, files)
    assert records == SMALL_OBJECTS
    assert peak < MEMORY_BYTES


@pytest.fixture(autouse=True)
def _room_for_large_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
