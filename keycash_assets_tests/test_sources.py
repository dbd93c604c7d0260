"""Source files from real folders, real zips and a real web server; zips that mean harm."""

import hashlib
import os
import random
import socket
import stat
import struct
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dagster._serdes import serialize_value

from keycash_assets import sources
from keycash_assets.core.sample import sample_files
from keycash_assets.definitions import build_definitions
from keycash_assets.errors import SourceError
from keycash_assets.settings import Settings
from keycash_assets.sources import SourceFiles, fetch_source_files
from keycash_assets_tests.platform import dagster_instance

Entries = list[tuple[str | zipfile.ZipInfo, bytes]]

A = b'{"clientes": []}'
B = b"[]"


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "home" / "source_files"


def write_zip(path: Path, entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for entry, content in entries:
            archive.writestr(entry, content)
    return path


def incompressible(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311  no secret


def contents(files: SourceFiles) -> dict[str, bytes]:
    return {file.name: file.path.read_bytes() for file in files.files}


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def assert_refused(source: Path | str, destination: Path, message: str) -> None:
    """The source is refused with such a message, and what lies on the disk stays as it was."""
    top = destination.parent.parent
    before = tree(top) | {destination.parent.name}
    with pytest.raises(SourceError, match=message) as raised:
        fetch_source_files(str(source), destination)
    assert "KEYCASH_SOURCE" in str(raised.value), "the message does not say what to do"
    assert tree(top) <= before, "something was left behind, or written outside"


# --- the sample, and what is common to all sources -----------------------------------------------


def test_the_sample_is_written_as_it_is_generated(destination: Path) -> None:
    assert contents(fetch_source_files("sample", destination)) == sample_files()
    assert {path.name for path in destination.parent.iterdir()} == {destination.name}


def test_size_and_digest_are_those_of_the_content(destination: Path) -> None:
    """A wrong digest would hide a changed file from the ledger."""
    for file in fetch_source_files("sample", destination).files:
        content = sample_files()[file.name]
        assert file.size_bytes == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_fetching_again_replaces_and_does_not_add(tmp_path: Path, destination: Path) -> None:
    """Files of an earlier source would otherwise be counted with those of the new one."""
    fetch_source_files("sample", destination)
    archive = write_zip(tmp_path / "a.zip", [("a.json", A)])
    assert contents(fetch_source_files(str(archive), destination)) == {"a.json": A}
    assert tree(destination.parent) == {"source_files", "source_files/a.json"}


@pytest.mark.parametrize("source", ["nowhere", "nowhere.zip", "ftp://example.com/a.zip", "Sample"])
def test_a_source_that_does_not_exist_is_named(source: str, destination: Path) -> None:
    assert_refused(source, destination, f"'{source}', and there is no folder or zip at")


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_listed_where_it_lies_with_every_file(
    tmp_path: Path, destination: Path
) -> None:
    """Files that are not JSON must reach the quarantine, not vanish here."""
    folder = tmp_path / "folder"
    expected = {
        "2022/01/a.json": A,
        "2022/01/with blank ção.ndjson.gz": b"\x1f\x8b",
        "README": b"read me",
        "b.json": B,
        "empty.json": b"",
    }
    for name, content in expected.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    files = fetch_source_files(str(folder), destination)

    assert contents(files) == expected
    assert [file.name for file in files.files] == sorted(expected)
    assert all(file.path == folder / file.name for file in files.files)
    assert files.skipped == ()
    assert not destination.exists()


def test_what_a_folder_leaves_out_is_named(tmp_path: Path, destination: Path) -> None:
    """Nothing is dropped silently; a link to a folder above must not be walked for ever."""
    folder = tmp_path / "folder"
    for name in ("a.json", ".DS_Store", "__MACOSX/._a.json", ".git/HEAD", "below/.hidden.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(A)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "broken.json").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.json")

    files = fetch_source_files(str(folder), destination)

    assert contents(files) == {"a.json": A}
    assert files.skipped == (
        ".DS_Store",
        ".git/",
        "__MACOSX/",
        "below/.hidden.json",
        "broken.json",
        "loop/",
        "pipe.json",
    )


def test_a_link_to_a_file_is_a_file(tmp_path: Path, destination: Path) -> None:
    """Mounted volumes are often folders of links."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "elsewhere").write_bytes(A)
    (folder / "a.json").symlink_to(tmp_path / "elsewhere")
    assert contents(fetch_source_files(str(folder), destination)) == {"a.json": A}


def test_a_folder_below_a_hidden_one_is_not_hidden(tmp_path: Path, destination: Path) -> None:
    folder = tmp_path / ".data" / "folder"
    folder.mkdir(parents=True)
    (folder / "a.json").write_bytes(A)
    assert contents(fetch_source_files(str(folder), destination)) == {"a.json": A}


def test_the_home_folder_may_be_written_as_a_tilde(
    tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell expands what stands in ``.env``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_zip(tmp_path / "a.zip", [("a.json", A)])
    assert contents(fetch_source_files("~/a.zip", destination)) == {"a.json": A}


def test_an_empty_folder_is_not_zero_requests(tmp_path: Path, destination: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".DS_Store").touch()
    assert_refused(folder, destination, r"no files in .*folder \(1 hidden or special")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_not_left_out(tmp_path: Path, destination: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "closed").mkdir(parents=True)
    (folder / "a.json").write_bytes(A)
    (folder / "closed").chmod(0)
    try:
        assert_refused(folder, destination, "closed cannot be read")
    finally:
        (folder / "closed").chmod(stat.S_IRWXU)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes only UTF-8 names")
def test_a_name_that_no_bucket_takes_is_refused_here(tmp_path: Path, destination: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / os.fsdecode(b"solicita\xe7\xe3o.json")).write_bytes(A)
    with pytest.raises(SourceError, match="is not UTF-8: rename"):
        fetch_source_files(str(folder), destination)


# --- zips ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Top folder/a.json", "Top folder/b.json"], ["a.json", "b.json"]),
        (["top/x/a.json", "top/b.json"], ["b.json", "x/a.json"]),
        (["top/x/a.json", "top/x/b.json"], ["x/a.json", "x/b.json"]),
        (["x/a.json", "y/a.json"], ["x/a.json", "y/a.json"]),
        (["top/a.json", "b.json"], ["b.json", "top/a.json"]),
        (["a.json"], ["a.json"]),
        (["./a.json", "b.json"], ["a.json", "b.json"]),
        (["top/", "top/a.json", "top/b/", "__MACOSX/top/._a.json"], ["a.json"]),
        (["top/a.json/a.json"], ["a.json/a.json"]),
        (["açaí/são.json", "açaí/not json.txt"], ["not json.txt", "são.json"]),
    ],
)
def test_only_the_top_folder_that_all_files_share_is_stripped(
    names: list[str], expected: list[str], tmp_path: Path, destination: Path
) -> None:
    """Anything more, and two files of one name would become one."""
    archive = write_zip(tmp_path / "a.zip", [(name, b"") for name in names])
    files = fetch_source_files(str(archive), destination)
    assert [file.name for file in files.files] == expected
    assert all(file.path == destination / file.name for file in files.files)


def test_hidden_entries_of_a_zip_are_named(tmp_path: Path, destination: Path) -> None:
    names = ["top/a.json", "top/.DS_Store", "__MACOSX/top/._a.json"]
    archive = write_zip(tmp_path / "a.zip", [(name, A) for name in names])
    files = fetch_source_files(str(archive), destination)
    assert contents(files) == {"a.json": A}
    assert files.skipped == ("__MACOSX/top/._a.json", "top/.DS_Store")


def test_stored_entries_and_large_ones_come_out_whole(tmp_path: Path, destination: Path) -> None:
    large = incompressible(3_000_001)
    entries: Entries = [("large", large), ("empty", b""), ("a.json", A)]
    archive = write_zip(tmp_path / "a.zip", entries, zipfile.ZIP_STORED)
    assert contents(fetch_source_files(str(archive), destination)) == dict(entries)


@pytest.mark.parametrize(
    "name",
    [
        "../x.json",
        "top/../../x.json",
        "top/../x.json",
        "..",
        "../",
        "/x.json",
        "//server/x.json",
        "C:x.json",
        "C:/x.json",
        "C:\\x.json",
        "..\\x.json",
        "top\\x.json",
        ".",
    ],
)
def test_a_name_that_leads_outside_refuses_the_zip(
    name: str, tmp_path: Path, destination: Path
) -> None:
    archive = write_zip(tmp_path / "a.zip", [("a.json", A), (name, A)])
    assert_refused(archive, destination, "not a path below the folder")


def test_a_name_cut_at_a_zero_byte_refuses_the_zip(tmp_path: Path, destination: Path) -> None:
    """What a name is cut to is not the name that another program would see."""
    archive = write_zip(tmp_path / "a.zip", [("a.json_x.sh", A)])
    archive.write_bytes(archive.read_bytes().replace(b"a.json_x.sh", b"a.json\0x.sh"))
    assert_refused(archive, destination, r"'a\.json\\x00x\.sh' has a name")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_refuse_the_zip(kind: int, tmp_path: Path, destination: Path) -> None:
    """A link named ``top`` would lead what follows it, ``top/x.json``, outside."""
    link = zipfile.ZipInfo("top")
    link.create_system = 3
    link.external_attr = (kind | 0o777) << 16
    entries: Entries = [(link, str(tmp_path).encode()), ("top/x.json", A)]
    archive = write_zip(tmp_path / "a.zip", entries)
    assert_refused(archive, destination, "'top' is a link or another special file")


def test_an_unsafe_name_is_found_among_the_hidden_ones_too(
    tmp_path: Path, destination: Path
) -> None:
    archive = write_zip(tmp_path / "a.zip", [("a.json", A), ("__MACOSX/../../x", A)])
    assert_refused(archive, destination, "not a path below the folder")


@pytest.mark.parametrize("second", ["a.json", "./a.json", "top//../a.json"])
def test_one_name_twice_does_not_overwrite(second: str, tmp_path: Path, destination: Path) -> None:
    if second == "a.json":
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive = write_zip(tmp_path / "a.zip", [("a.json", A), (second, B)])
    else:
        archive = write_zip(tmp_path / "a.zip", [("a.json", A), (second, B)])
    assert_refused(archive, destination, f"its entry '{second}' (is there twice|has a name)")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path, destination: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", [("a", A), ("a/b", B), ("c", B)])
    assert_refused(archive, destination, "could not be unpacked")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(
    method: int, tmp_path: Path, destination: Path
) -> None:
    """A kilobyte of bzip2 can be a gigabyte, in memory, before the first byte can be counted."""
    archive = write_zip(tmp_path / "a.zip", [("a.json", A)], method)
    assert_refused(archive, destination, "another method than deflate")


def test_an_encrypted_zip_says_so(tmp_path: Path, destination: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", [("a.json", A)])
    damaged = bytearray(archive.read_bytes())
    damaged[6] |= 1
    damaged[damaged.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(damaged)
    assert_refused(archive, destination, "'a.json' is encrypted")


def test_a_zip_bomb_is_stopped_long_before_it_fills_the_disk(
    tmp_path: Path, destination: Path
) -> None:
    archive = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened,
        opened.open("zeros.json", "w", force_zip64=True) as zeros,
    ):
        for _ in range(256):
            zeros.write(bytes(1024**2))
    assert archive.stat().st_size < 2 * 1024**2
    assert_refused(archive, destination, "unpacks to more than [0-9,]+ bytes")


def test_many_small_bombs_are_counted_together(tmp_path: Path, destination: Path) -> None:
    zeros = bytes(sources.RATIO_FREE_BYTES // 2)
    archive = write_zip(tmp_path / "a.zip", [(f"{number}.json", zeros) for number in range(20)])
    assert_refused(archive, destination, "unpacks to more than")


def test_files_of_zeros_below_a_megabyte_are_no_bomb(tmp_path: Path, destination: Path) -> None:
    zeros = bytes(sources.RATIO_FREE_BYTES)
    archive = write_zip(tmp_path / "a.zip", [("zeros", zeros)])
    assert contents(fetch_source_files(str(archive), destination)) == {"zeros": zeros}


def test_the_total_is_limited_whatever_the_ratio(
    tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: Entries = [(f"{n}.json", incompressible(1000, seed=n)) for n in range(10)]
    archive = write_zip(tmp_path / "a.zip", entries)
    monkeypatch.setattr(sources, "MAX_UNPACKED_BYTES", 9_999)
    assert_refused(archive, destination, "unpacks to more than 9,999 bytes")
    monkeypatch.setattr(sources, "MAX_UNPACKED_BYTES", 10_000)
    assert contents(fetch_source_files(str(archive), destination)) == dict(entries)


def test_the_number_of_entries_is_limited_folders_included(
    tmp_path: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_zip(tmp_path / "a.zip", [("x/", b""), ("x/a.json", A), ("x/b.json", B)])
    monkeypatch.setattr(sources, "MAX_ENTRIES", 2)
    assert_refused(archive, destination, "3 entries, and may have 2")
    monkeypatch.setattr(sources, "MAX_ENTRIES", 3)
    assert len(fetch_source_files(str(archive), destination).files) == 2


@pytest.mark.parametrize("declared", [10, 5_001, 1_000_000])
def test_a_size_that_is_not_the_one_declared_is_refused(
    declared: int, tmp_path: Path, destination: Path
) -> None:
    """The checksum of the first 10 bytes would pass them off as the whole file."""
    content = b"x" * 5_000
    archive = write_zip(tmp_path / "a.zip", [("a.json", content)])
    size, lie = struct.pack("<L", len(content)), struct.pack("<L", declared)
    assert archive.read_bytes().count(size) == 2
    archive.write_bytes(archive.read_bytes().replace(size, lie))
    assert_refused(archive, destination, "'a.json' is not of the size it declares")


def test_a_bomb_that_declares_a_small_size_is_stopped(tmp_path: Path, destination: Path) -> None:
    zeros = bytes(16 * 1024**2)
    archive = write_zip(tmp_path / "a.zip", [("a.json", zeros)])
    lie = archive.read_bytes().replace(struct.pack("<L", len(zeros)), struct.pack("<L", 100))
    archive.write_bytes(lie)
    assert_refused(archive, destination, "unpacks to more than")


def cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    middle = content.index(b"a.json") + 20
    return content[:middle] + b"!!!!" + content[middle + 4 :]


@pytest.mark.parametrize(
    "damage", [cut_off, overwritten, lambda _: b"", lambda _: b"<html>Sign in</html>"]
)
def test_a_damaged_zip_leaves_the_earlier_files_as_they_were(
    damage: Callable[[bytes], bytes], tmp_path: Path, destination: Path
) -> None:
    """A half extraction must not look complete."""
    fetch_source_files("sample", destination)
    content = incompressible(1000)
    archive = write_zip(tmp_path / "a.zip", [("0.json", B), ("a.json", content)])
    archive.write_bytes(damage(archive.read_bytes()))
    assert_refused(archive, destination, r"a\.zip could not be unpacked \(.+\)")
    assert contents(fetch_source_files(str(destination), destination)) == sample_files()


def test_whatever_byte_is_damaged_the_zip_is_whole_or_refused(
    tmp_path: Path, destination: Path
) -> None:
    """An error that nobody expected would end the run with no word of what to do."""
    entries: Entries = [("top/a.json", A), ("top/b.json", B), ("top/ção.json", A * 9)]
    archive = write_zip(tmp_path / "a.zip", entries)
    content = archive.read_bytes()
    refused = 0
    for position in range(len(content)):
        for byte in (0, 255, content[position] ^ 1):
            archive.write_bytes(content[:position] + bytes([byte]) + content[position + 1 :])
            try:
                found = contents(fetch_source_files(str(archive), destination))
            except SourceError:
                refused += 1
            else:
                assert set(found.values()) <= {A, B, A * 9}
            assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "home"}
    assert refused > len(content)


def test_a_zip_without_files_is_not_zero_requests(tmp_path: Path, destination: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", [("top/", b""), ("top/.DS_Store", b"")])
    assert_refused(archive, destination, r"no files in .*a\.zip \(1 hidden or special")


def test_a_zip_inside_the_destination_is_not_deleted(tmp_path: Path, destination: Path) -> None:
    destination.mkdir(parents=True)
    archive = write_zip(destination / "a.zip", [("a.json", A)])
    assert_refused(archive, destination, "move the zip elsewhere")
    assert archive.exists()


def test_the_real_folder_and_the_real_zip_hold_the_same(destination: Path) -> None:
    folder = os.environ.get("KEYCASH_CHALLENGE_DIR")
    if not folder:
        pytest.skip("KEYCASH_CHALLENGE_DIR does not name the folder of the real files")
    archive = Path(folder).parent / "Data-Engineer-Challenge.zip"
    of_folder = contents(fetch_source_files(folder, destination))
    of_zip = fetch_source_files(str(archive), destination)
    assert contents(of_zip) == of_folder
    assert set(of_folder) == {f"output_{number}.json" for number in range(50)}
    assert of_zip.skipped == ()


# --- URLs ----------------------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], object]


class WebServer:
    """A real server on this machine, which answers a path as it is told to."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.stopping = threading.Event()
        web_server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web_server.answers[self.path.partition("?")[0]](self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def answer(self, path: str, answer: Answer) -> str:
        """Make the server answer this path so, and return the URL."""
        self.answers[path] = answer
        return self.url + path

    def stop(self) -> None:
        """End the server and every answer that still waits."""
        self.stopping.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def web_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("no_proxy", "*")
    server = WebServer()
    server.thread.start()
    yield server
    server.stop()


def sending(content: bytes, length: int | None = None) -> Answer:
    """Answer with this content, declaring its length or another one (-1: none)."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length != -1:
            handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@pytest.fixture
def zip_content(tmp_path: Path) -> bytes:
    entries: Entries = [(f"top/{name}", content) for name, content in sample_files().items()]
    path = write_zip(tmp_path / "a.zip", entries)
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.mark.parametrize("length", [None, -1])
def test_a_zip_is_downloaded_with_and_without_a_declared_length(
    length: int | None, web_server: WebServer, zip_content: bytes, destination: Path
) -> None:
    url = web_server.answer("/a", sending(zip_content, length))
    assert contents(fetch_source_files(url, destination)) == sample_files()
    assert tree(destination.parent) == {"source_files"} | {
        f"source_files/{name}" for name in sample_files()
    }


def test_a_redirect_is_followed(
    web_server: WebServer, zip_content: bytes, destination: Path
) -> None:
    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/a.zip")
        handler.end_headers()

    web_server.answer("/a.zip", sending(zip_content))
    url = web_server.answer("/short", redirect).replace("http", "HTTP")
    assert contents(fetch_source_files(url, destination)) == sample_files()


def test_a_redirect_to_a_file_of_this_machine_is_refused(
    web_server: WebServer, zip_content: bytes, tmp_path: Path, destination: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(zip_content)

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", (tmp_path / "a.zip").as_uri())
        handler.end_headers()

    assert_refused(web_server.answer("/a", redirect), destination, "could not be downloaded")


def test_a_server_that_does_not_hang_up_is_not_waited_for(
    web_server: WebServer,
    zip_content: bytes,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        sending(zip_content)(handler)
        handler.wfile.flush()
        web_server.stopping.wait()

    monkeypatch.setattr(sources, "DOWNLOAD_SILENCE_SECONDS", 1)
    url = web_server.answer("/a", answer)
    assert contents(fetch_source_files(url, destination)) == sample_files()


def test_a_missing_page_names_the_status_and_keeps_the_earlier_files(
    web_server: WebServer, destination: Path
) -> None:
    fetch_source_files("sample", destination)
    url = web_server.answer("/a.zip", lambda handler: handler.send_error(404))
    assert_refused(url, destination, r"/a\.zip could not be downloaded \(HTTP Error 404.*browser")


def test_a_sign_in_page_is_not_a_zip(web_server: WebServer, destination: Path) -> None:
    url = web_server.answer("/a.zip", sending(b"<html>Sign in</html>"))
    assert_refused(url, destination, r"/a\.zip could not be unpacked .*browser")


def test_a_download_that_is_cut_off_says_so(
    web_server: WebServer, zip_content: bytes, destination: Path
) -> None:
    url = web_server.answer("/a.zip", sending(zip_content, len(zip_content) + 1))
    assert_refused(url, destination, "it ended after [0-9,]+ of [0-9,]+ bytes")


def test_a_silent_server_is_not_waited_for(
    web_server: WebServer, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "DOWNLOAD_SILENCE_SECONDS", 0.2)
    url = web_server.answer("/a.zip", lambda _: web_server.stopping.wait())
    assert_refused(url, destination, "could not be downloaded .*timed out")


def test_a_trickle_does_not_outlast_the_deadline(
    web_server: WebServer, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes in time, and the whole would take days."""

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        sending(b"", 1_000_000)(handler)
        with suppress(OSError):  # the download has hung up
            while not web_server.stopping.wait(0.05):
                handler.wfile.write(b"x")

    monkeypatch.setattr(sources, "DOWNLOAD_SECONDS", 0.3)
    url = web_server.answer("/a.zip", trickle)
    assert_refused(url, destination, "not complete after")


@pytest.mark.parametrize("length", [None, -1])
def test_a_download_is_limited_whatever_length_it_declares(
    length: int | None,
    web_server: WebServer,
    zip_content: bytes,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "MAX_DOWNLOAD_BYTES", len(zip_content) - 1)
    url = web_server.answer("/a.zip", sending(zip_content, length))
    assert_refused(url, destination, "it is larger than")


def test_the_secret_of_a_signed_link_does_not_reach_the_log(
    web_server: WebServer, destination: Path
) -> None:
    url = web_server.answer("/a.zip", sending(b"expired")) + "?signature=S3CR3T"
    with pytest.raises(SourceError) as raised:
        fetch_source_files(url, destination)
    assert "S3CR3T" not in str(raised.value)
    with pytest.raises(SourceError, match="a user or password") as raised:
        fetch_source_files(url.replace("://", "://user:S3CR3T@"), destination)
    assert "S3CR3T" not in str(raised.value)


def test_the_secret_of_a_signed_link_does_not_reach_dagster(
    web_server: WebServer,
    zip_content: bytes,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It keeps the settings of all resources, and shows metadata to whoever opens its UI."""
    url = web_server.answer("/a.zip", sending(zip_content))
    monkeypatch.setenv("KEYCASH_SOURCE", f"{url}?signature=S3CR3T")
    settings = Settings.from_environment(os.environ)
    definitions = build_definitions(settings)
    job = definitions.resolve_job_def("upload_source_files")
    settings.dagster_home.mkdir(parents=True)
    with dagster_instance(settings) as instance:
        run = job.execute_in_process(instance=instance)
        (source,) = {
            event.materialization.metadata["source"].value
            for event in run.get_asset_materialization_events()
            if "source" in event.materialization.metadata
        }
        shown = serialize_value(job.get_job_snapshot()) + str(run.all_events)
    assert run.success
    assert source == url
    assert url in shown
    assert "S3CR3T" not in shown


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid/a.zip", "http://[::1/a", "https://", "http://a b/c.zip"]
)
@pytest.mark.usefixtures("web_server")
def test_an_address_that_leads_nowhere_says_what_to_do(url: str, destination: Path) -> None:
    assert_refused(url, destination, "could not be downloaded .*browser")


@pytest.mark.usefixtures("web_server")
def test_a_server_that_is_down_says_what_to_do(destination: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip"
        assert_refused(url, destination, "could not be downloaded .*refused")
