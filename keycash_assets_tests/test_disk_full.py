"""A full disk: a clear error, the snapshot of before still served, and all well with space again.

A small file system is mounted where that is permitted; elsewhere the size of files is limited.
"""

import gzip
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from keycash_assets import reading
from keycash_assets.bucket import Bucket
from keycash_assets.core import documents
from keycash_assets.errors import TemporaryFileError
from keycash_assets.settings import Settings
from keycash_assets_tests.platform import Platform, credit_request, document
from keycash_assets_tests.run_process import Order, RunProcesses

SMALL_BYTES = 8 * 1024**2
ENOUGH_BYTES = 200 * 1024**2
TOTALS = (
    "SELECT (SELECT count(*) FROM landing_table), "
    "(SELECT sum(credito_solicitado) FROM credit_per_day)"
)


class SmallDisk:
    """A folder that takes ``SMALL_BYTES``, until it has grown.

    Args:
        folder: The folder.
        is_mounted: Whether it is a file system of its own; otherwise the size of files is limited.
    """

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted
        self.file_bytes = None if is_mounted else SMALL_BYTES

    def grow(self) -> None:
        """Make room."""
        self.file_bytes = None
        if self.is_mounted:
            options = f"remount,size={ENOUGH_BYTES}"
            subprocess.run(["mount", "-o", options, str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small file system, or where none can be mounted, a limit on the size of files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "keycash-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield SmallDisk(folder, is_mounted=False)
        return
    yield SmallDisk(folder, is_mounted=True)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _large(total_bytes: int) -> bytes:
    """A document that no compression makes small, with 250 requests of 1 BRL on one day."""
    chance = random.Random(1)  # noqa: S311  no secret
    padding = total_bytes // 500
    return document(
        *(
            credit_request(
                f"large-{n}", 1, "02/01/2022 10:00", padding=chance.randbytes(padding).hex()
            )
            for n in range(250)
        )
    )


@pytest.mark.parametrize(
    ("full", "message"),
    [
        ("KEYCASH_WAREHOUSE", "The warehouse could not be written: "),
        ("KEYCASH_PUBLISHED", "The snapshot could not be written to "),
    ],
)
def test_a_full_disk_leaves_the_snapshot_and_heals_with_space(
    disk: SmallDisk,
    full: str,
    message: str,
    environment: dict[str, str],
    bucket: Bucket,
    run_processes: RunProcesses,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """During the load, and during publishing: a part of either would be a wrong number."""
    if full == "KEYCASH_PUBLISHED" and not disk.is_mounted:
        pytest.skip("only the snapshot is to find no room: that needs a small file system")
    monkeypatch.setenv(full, str(disk.folder / "keycash.duckdb"))
    settings = Settings.from_environment({**environment, full: str(disk.folder / "keycash.duckdb")})
    with Platform.start(settings, bucket) as platform:
        for number in range(2):  # from the second publication on, the one before it is kept too
            platform.put({f"small-{number}.json": document(credit_request("c", 100))})
            assert platform.tick() is not None
        before = [(2, Decimal("100.00"))]
        assert platform.published(TOTALS) == before
        platform.put({"large.json": _large(SMALL_BYTES * 5 // 4)})
        failed = run_processes.start(Order("ingest_objects", file_bytes=disk.file_bytes)).finish()
        assert message in failed["error"]
        assert re.search("No space left on device|File too large", failed["error"])
        assert "eaders still see" in failed["error"]
        assert platform.published(TOTALS) == before
        disk.grow()
        assert platform.run("ingest_objects").success
        after = [(252, Decimal("350.00"))]
        assert platform.published(TOTALS) == platform.warehouse(TOTALS) == after
        left = {path.name for path in disk.folder.iterdir()}
        assert left <= {"keycash.duckdb", ".keycash.duckdb.previous", "keycash.duckdb.wal"}, left


def test_a_full_folder_of_temporary_files_is_no_unreadable_bucket(
    disk: SmallDisk, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told to check their credentials does not look at the disk."""
    if not disk.is_mounted:
        pytest.skip("only temporary files are to find no room: that needs a small file system")
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    monkeypatch.setattr(reading, "MAX_MEMORY_BYTES", SMALL_BYTES // 8)
    monkeypatch.setattr(documents, "MAX_MEMORY_BYTES", SMALL_BYTES // 8)
    content = _large(SMALL_BYTES * 5 // 4)
    message = f"There is no room for temporary files in {re.escape(str(disk.folder))}"
    with pytest.raises(TemporaryFileError, match=message):
        list(documents.read_parts(gzip.compress(content, 1)))
    platform.put({"small.json": document(credit_request("c", 100)), "large.json": content})
    failed = platform.run("ingest_objects")
    assert not failed.success
    errors = [event.step_failure_data.error for event in failed.get_step_failure_events()]
    assert any(re.search(message, error.to_string()) for error in errors if error)
    disk.grow()
    assert platform.run("ingest_objects").success
    assert platform.published(TOTALS) == [(251, Decimal("350.00"))]
    assert len(list(documents.read_parts(gzip.compress(content, 1)))) > 0
