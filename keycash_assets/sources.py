"""The source files: had from a folder, a zip, a URL of a zip, or generated, and listed.

Every regular file is taken, JSON or not: what cannot be read is quarantined later, where it can be
seen. Only hidden files, macOS's ``__MACOSX`` and what is not a regular file are left out, and
``SourceFiles.skipped`` names them.

A zip is not trusted. The limits below hold for the bytes that come out of it, whatever its headers
say, and one unsafe entry refuses the whole zip.
"""

import hashlib
import os
import re
import stat
import sys
import time
import zipfile
import zlib
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory

from keycash_assets.core.sample import sample_files
from keycash_assets.errors import SourceError
from keycash_assets.settings import SAMPLE_SOURCE

MAX_ENTRIES = 100_000
"""Entries that a zip may have, folders included."""

MAX_UNPACKED_BYTES = 2 * 1024**3
"""Bytes that may come out of a zip, all its entries together."""

MAX_COMPRESSION_RATIO = 200
"""How many times its own size a zip may unpack to, beyond ``RATIO_FREE_BYTES``."""

RATIO_FREE_BYTES = 1024**2
"""Bytes that may come out of a zip whatever the ratio: few files of zeros harm nobody."""

MAX_DOWNLOAD_BYTES = 2 * 1024**3
"""Size of a zip that is downloaded."""

DOWNLOAD_SILENCE_SECONDS = 30.0
"""How long a server may take to answer, and between two pieces of its answer."""

DOWNLOAD_SECONDS = 3600.0
"""How long a download may take in all."""

_CHUNK_BYTES = 1024**2
_WEB_ADDRESS = re.compile("https?://", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")
_ENCRYPTED_FLAG = 0x1
_BY_HAND = (
    "Download the zip in a browser and set KEYCASH_SOURCE to its path, or to the folder that it "
    "was unpacked to."
)


@dataclass(frozen=True)
class SourceFile:
    """One source file.

    Attributes:
        name: Path relative to the source, with ``/`` between its parts.
        path: Where the file lies.
        size_bytes: Its size.
        sha256: Hexadecimal digest of its content.
    """

    name: str
    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class SourceFiles:
    """All files of a source.

    Attributes:
        files: The files, in the order of their names.
        skipped: Names of what was left out: hidden files, ``__MACOSX``, and what is not a regular
            file. A folder stands for all that is in it.
    """

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]


def fetch_source_files(source: str, destination: Path) -> SourceFiles:
    """Make the source files available on this machine, and list them.

    A folder is listed where it lies, its files named relative to it. Anything else replaces what
    ``destination`` held before, in one step at the end, so that what lies there is always
    complete. The top folder that all files of a zip have in common is no part of their names.

    Args:
        source: A folder, a zip, an http(s) URL of a zip, or ``sample`` (see ``KEYCASH_SOURCE``).
        destination: Folder for files that do not lie in a folder yet.

    Raises:
        SourceError: There is no such source, it cannot be read, it holds no files, or it is not
            safe to unpack.
    """
    is_web_address = _WEB_ADDRESS.match(source) is not None
    path = Path(source).expanduser().absolute()
    if source != SAMPLE_SOURCE and not is_web_address:
        if path.is_dir():
            return _files_below(path)
        _check_archive_path(source, path, destination)

    destination.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as staging:
        new = Path(staging, "new")
        new.mkdir()
        skipped: tuple[str, ...] = ()
        if source == SAMPLE_SOURCE:
            for name, content in sample_files().items():
                (new / name).write_bytes(content)
        elif is_web_address:
            downloaded = Path(staging, "download.zip")
            _download(source, downloaded)
            skipped = _unpack(downloaded, new, origin=without_secrets(source))
        else:
            skipped = _unpack(path, new, origin=str(path))
        if destination.exists():
            destination.rename(Path(staging, "old"))
        new.rename(destination)
    return replace(_files_below(destination), skipped=skipped)


def _check_archive_path(source: str, path: Path, destination: Path) -> None:
    if not path.is_file():
        raise SourceError(
            f"KEYCASH_SOURCE is {source!r}, and there is no folder or zip at {path}. Set it to the "
            f"path of one, to an http(s) URL of a zip, or to '{SAMPLE_SOURCE}'."
        )
    if destination.resolve() in path.resolve().parents:
        raise SourceError(
            f"The zip {path} lies in {destination}, whose content is replaced by what is unpacked: "
            "move the zip elsewhere and set KEYCASH_SOURCE to its new path."
        )


def _files_below(folder: Path) -> SourceFiles:
    files: list[SourceFile] = []
    skipped: list[str] = []
    try:
        for parent, folder_names, file_names in os.walk(folder, onerror=_raise):
            relative = PurePosixPath(Path(parent).relative_to(folder).as_posix())
            for name in list(folder_names):
                # A link to a folder is not followed: it may lead back to where it came from.
                if _is_hidden(name) or Path(parent, name).is_symlink():
                    folder_names.remove(name)
                    skipped.append(f"{relative / name}/")
            for name in file_names:
                path = Path(parent, name)
                if _is_hidden(name) or not path.is_file():
                    skipped.append(str(relative / name))
                else:
                    name.encode()  # the bucket takes no other names than UTF-8
                    files.append(_source_file(str(relative / name), path))
    except OSError as error:
        raise SourceError(
            f"{error.filename} cannot be read ({error.strerror}): give the user who runs this "
            "permission to read it, or set KEYCASH_SOURCE to another folder."
        ) from error
    except UnicodeEncodeError as error:
        raise SourceError(
            f"The file name {error.object!r} in {folder} is not UTF-8: rename the file."
        ) from error
    if not files:
        raise _no_files(str(folder), skipped)
    return SourceFiles(tuple(sorted(files, key=lambda file: file.name)), tuple(sorted(skipped)))


def _no_files(place: str, skipped: list[str]) -> SourceError:
    return SourceError(
        f"There are no files in {place} ({len(skipped)} hidden or special ones not counted): set "
        "KEYCASH_SOURCE to the folder, or the zip, that holds the JSON files."
    )


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _source_file(name: str, path: Path) -> SourceFile:
    digest = hashlib.sha256()
    size_bytes = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size_bytes += len(chunk)
    return SourceFile(name, path, size_bytes, digest.hexdigest())


def _download(url: str, path: Path) -> None:
    from urllib.error import HTTPError  # noqa: PLC0415  most sources are not downloaded

    if _CREDENTIALS.search(url):
        raise SourceError(
            f"KEYCASH_SOURCE is {without_secrets(url)} with a user or password before it, which is "
            f"not supported. {_BY_HAND}"
        )
    try:
        _receive(url, path)
    # URLError is an OSError; a malformed address is a ValueError.
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise SourceError(
            f"{without_secrets(url)} could not be downloaded ({error}). {_BY_HAND}"
        ) from error


def _receive(url: str, path: Path) -> None:
    # All take long to import, and most sources are not downloaded.
    from urllib.request import Request, urlopen  # noqa: PLC0415  see above

    from rich.console import Console  # noqa: PLC0415  see above
    from rich.progress import Progress  # noqa: PLC0415  see above

    console = Console(stderr=True)
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    received = 0
    # Some servers turn away the name by which Python calls itself.
    request = Request(url, headers={"User-Agent": "keycash-assets"})  # noqa: S310  http(s) only
    with (
        urlopen(request, timeout=DOWNLOAD_SILENCE_SECONDS) as response,  # noqa: S310  http(s) only
        path.open("wb") as file,
        Progress(console=console, disable=not console.is_terminal) as progress,
    ):
        expected: int | None = response.length
        task = progress.add_task("Downloading the source files", total=expected)
        # read1 returns what has come, so that a trickle cannot outlast the deadline.
        while chunk := response.read1(_CHUNK_BYTES):
            received += len(chunk)
            if received > MAX_DOWNLOAD_BYTES:
                raise ConnectionError(f"it is larger than {MAX_DOWNLOAD_BYTES:,} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it is not complete after {DOWNLOAD_SECONDS:.0f} seconds")
            file.write(chunk)
            progress.update(task, completed=received)
        if expected is not None and received < expected:
            raise ConnectionError(f"it ended after {received:,} of {expected:,} bytes")


def without_secrets(source: str) -> str:
    """A source as it may be shown: signed links carry their secret behind the ``?``."""
    if not _WEB_ADDRESS.match(source):
        return source
    return _CREDENTIALS.sub("", source.partition("?")[0])


def _unpack(archive: Path, folder: Path, origin: str) -> tuple[str, ...]:
    """Unpack a zip into an empty folder and return the names of the entries left out."""
    # What zipfile raises for bytes that are no zip or were damaged; OSError: the disk is full.
    damaged = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries, skipped = _safe_entries(opened, origin)
            _extract(opened, entries, folder, archive.stat().st_size, origin)
    except damaged as error:
        reason = str(error) or "it is cut off"
        raise SourceError(f"{origin} could not be unpacked ({reason}). {_BY_HAND}") from error
    return skipped


def _safe_entries(
    opened: zipfile.ZipFile, origin: str
) -> tuple[dict[PurePosixPath, zipfile.ZipInfo], tuple[str, ...]]:
    """The entries to unpack, by their names, and the names of those left out."""
    count = len(opened.infolist())
    if count > MAX_ENTRIES:
        raise _refused(origin, f"it has {count:,} entries, and may have {MAX_ENTRIES:,}")
    entries: dict[PurePosixPath, zipfile.ZipInfo] = {}
    skipped: list[str] = []
    for entry in opened.infolist():
        name = PurePosixPath(entry.orig_filename)
        if danger := _danger(entry, name):
            raise _refused(origin, f"its entry {entry.orig_filename!r} {danger}")
        if entry.is_dir():
            continue
        if any(_is_hidden(part) for part in name.parts):
            skipped.append(str(name))
        elif name in entries:
            raise _refused(origin, f"its entry {entry.orig_filename!r} is there twice")
        else:
            entries[name] = entry
    if not entries:
        raise _no_files(origin, skipped)
    return entries, tuple(sorted(skipped))


def _danger(entry: zipfile.ZipInfo, name: PurePosixPath) -> str | None:
    """Why an entry must not be unpacked, None if it may."""
    written = entry.orig_filename
    leads_outside = name.is_absolute() or ".." in name.parts or PureWindowsPath(written).drive
    if leads_outside or "\\" in written or "\0" in written or not (name.parts or entry.is_dir()):
        return "has a name that is not a path below the folder it is unpacked to"
    if stat.S_IFMT(entry.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link or another special file"
    if entry.flag_bits & _ENCRYPTED_FLAG:
        return "is encrypted"
    # bzip2 and LZMA give all of a block at once, gigabytes perhaps, before it can be counted.
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return "is compressed by another method than deflate"
    return None


def _extract(
    opened: zipfile.ZipFile,
    entries: dict[PurePosixPath, zipfile.ZipInfo],
    folder: Path,
    archive_bytes: int,
    origin: str,
) -> None:
    limit = max(RATIO_FREE_BYTES, MAX_COMPRESSION_RATIO * archive_bytes)
    limit = min(limit, MAX_UNPACKED_BYTES)
    total = 0
    top_folders = {name.parts[:-1][:1] for name in entries}
    stripped = 1 if len(top_folders) == 1 and () not in top_folders else 0
    for name, entry in entries.items():
        path = folder.joinpath(*name.parts[stripped:])
        path.parent.mkdir(parents=True, exist_ok=True)
        declared = entry.file_size
        # zipfile would stop where the header says, and pass the beginning off as the whole.
        entry.file_size = sys.maxsize
        # "x": names that differ in case alone are one file on some systems.
        with opened.open(entry) as unpacked, path.open("xb") as file:
            while chunk := unpacked.read(_CHUNK_BYTES):
                total += len(chunk)
                if total > limit:
                    raise _refused(
                        origin, f"it unpacks to more than {limit:,} bytes, the most for its size"
                    )
                file.write(chunk)
            if file.tell() != declared:
                raise _refused(origin, f"its entry {str(name)!r} is not of the size it declares")


def _refused(origin: str, reason: str) -> SourceError:
    return SourceError(
        f"{origin} is not unpacked: {reason}. If you trust it, unpack it yourself and set "
        "KEYCASH_SOURCE to the folder."
    )
