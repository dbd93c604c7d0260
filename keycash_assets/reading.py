"""Reading object versions: bytes that are proved to be those asked for, or the reason for none."""

import hashlib
import random
import re
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, cast

from keycash_assets import retrying
from keycash_assets.core.documents import MAX_MEMORY_BYTES, Content, mapped
from keycash_assets.core.objects import ObjectVersion
from keycash_assets.core.temporary_files import want_of_room_explained
from keycash_assets.progress import side_by_side
from keycash_assets.retrying import (
    WrongBytesError,
    may_be_of_the_store,
    may_pass,
    persistently,
    reason,
)

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta
    from obstore.store import ObjectStore as Store
    from obstore.store import S3Store

WITNESSES = 8
"""How many other objects are tried before it is the store that fails."""

ENDS_IN_A_SLASH = (
    "could not be read: its key ends in /, as those of folders do; put it under another key"
)
"""Of an object with content under such a key, which is listed without the slash."""

NOT_TO_BE_ASKED_FOR = (
    "could not be read: its key has an empty part, a part of dots only, or a control character; "
    "copy it to another key and delete it"
)
"""Of an object under such a key, as in ``a//b``: the listing has it, but the client refuses it."""

INVALID_KEY = "object with invalid path"
"""What the client says of a listing in which there is such a key: it gives none of its page."""

_CHUNK_BYTES = 4 * 1024**2
_MD5 = re.compile("[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class FetchedObject:
    """An object's bytes, proved to be those of the version that was asked for.

    Attributes:
        version: What was asked for.
        data: The bytes, in memory or mapped; None without them.
        sha256: Digest of the bytes in hexadecimal; None without them.
        unreadable: Why they could not be had, while others can be; empty with them, and for a
            version that is no longer there.
    """

    version: ObjectVersion
    data: Content | None = None
    sha256: str | None = None
    unreadable: str = ""


class Reader:
    """Reads versions, each only if it still is the one asked for; threads may share it.

    Args:
        store: The client.
        prefix: Where in the bucket other objects are found.
        scheme: ``s3`` or ``gs``.
        keys: What it is to read.
    """

    def __init__(self, store: "Store", prefix: str, scheme: str, keys: Sequence[str]) -> None:
        self._store = store
        self._prefix = prefix
        self._scheme = scheme
        self._to_read = keys
        self._judging = threading.Lock()
        self._seen_healthy_at = float("-inf")
        self._failed: set[str] = set()

    def read(self, version: ObjectVersion) -> FetchedObject:
        """Read a version, anew as long as that may help.

        What is larger than ``MAX_MEMORY_BYTES`` goes to a temporary file.

        Raises:
            obstore.exceptions.BaseError: It cannot be read, and it may be the store that fails.
            TemporaryFileError: There is no room for it on this machine.
        """
        from obstore.exceptions import BaseError, PreconditionError  # noqa: PLC0415

        try:
            data, sha256 = persistently(partial(self._get, version))
        except PreconditionError:
            return FetchedObject(version)
        except ValueError:
            return FetchedObject(version, unreadable=NOT_TO_BE_ASKED_FOR)
        except _VanishedError:
            other = persistently(partial(with_a_slash, self._store, version.key))
            is_it = other is not None and (other["e_tag"] or "").strip('"') == version.etag
            return FetchedObject(version, unreadable=ENDS_IN_A_SLASH if is_it else "")
        except (BaseError, WrongBytesError) as error:
            self._raise_if_store_fails(version, error)
            return FetchedObject(version, unreadable=f"could not be read: {reason(error)}")
        self._seen_healthy_at = time.monotonic()
        return FetchedObject(version, data, sha256)

    def _get(self, version: ObjectVersion) -> tuple[Content, str]:
        """The bytes and their SHA-256, by one GET.

        Raises:
            _VanishedError: There is no such object any more.
            WrongBytesError: What came is not what is listed.
            obstore.exceptions.BaseError: The GET failed, or the version is another one by now.
        """
        import obstore  # noqa: PLC0415  shortens start-up

        etag = f'"{version.etag}"' if self._scheme == "s3" else version.etag
        try:
            result = obstore.get(self._store, version.key, options={"if_match": etag})
        except FileNotFoundError as error:
            raise _VanishedError from error
        data, sha256, md5 = _received(result, version.size_bytes)
        if len(data) != version.size_bytes:
            raise WrongBytesError(
                f"{len(data):,} bytes came, {version.size_bytes:,} are listed for version "
                f"{version.etag}"
            )
        if (
            self._scheme == "s3"
            and _MD5.fullmatch(version.etag)
            and version.etag.lower() != md5
            and self._etag_is_md5(version)
        ):
            raise WrongBytesError(
                f"the bytes that came have the MD5 {md5}, not that of version {version.etag}"
            )
        return data, sha256

    def _etag_is_md5(self, version: ObjectVersion) -> bool:
        """Whether an ETag that looks like an MD5 is one: of some encrypted objects it is not.

        Raises:
            WrongBytesError: It cannot be found out now.
        """
        import obstore  # noqa: PLC0415  shortens start-up
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            # The client does not hand out these headers.
            store = cast("S3Store", self._store)
            url = obstore.sign(store, "HEAD", version.key, timedelta(minutes=1))
            headers = _head(url)
        except (BaseError, OSError, HTTPException) as error:
            raise WrongBytesError(
                f"the bytes that came do not have the MD5 {version.etag}, and whether that is one "
                f"could not be asked: {reason(error)}"
            ) from error
        return (
            headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
            and "x-amz-server-side-encryption-customer-algorithm" not in headers
        )

    def _raise_if_store_fails(self, version: ObjectVersion, error: Exception) -> None:
        """Give an object up only while others can be read: else it is the store that fails.

        Raises:
            obstore.exceptions.BaseError: The listing fails as well; or the error may be one of the
                whole store, and no other object can be read.
        """
        failed_at = time.monotonic()
        self._failed.add(version.key)
        with self._judging:
            if self._seen_healthy_at > failed_at:
                return
            others = [key for key in persistently(self._keys) if key not in self._failed]
            if may_be_of_the_store(error):
                witnesses = random.sample(others, min(WITNESSES, len(others)))
                answers = side_by_side(self._answers, witnesses, WITNESSES)
                if not any(answers) and (others or may_pass(error)):
                    raise error
            self._seen_healthy_at = time.monotonic()

    def _answers(self, key: str) -> bool:
        """Whether the store does with this object what it should: hand it out, or say why not."""
        import obstore  # noqa: PLC0415  shortens start-up
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            obstore.get_range(self._store, key, start=0, length=1)
        except FileNotFoundError:
            return True
        except ValueError:  # the client cannot ask for it
            return False
        except BaseError as error:
            return not may_be_of_the_store(error)
        return True

    def _keys(self) -> list[str]:
        """Keys of objects that are not empty, from the beginning of the listing.

        Those that are to be read, where the client cannot list them all.
        """
        import obstore  # noqa: PLC0415  shortens start-up
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            for page in obstore.list(self._store, self._prefix or None, chunk_size=1_000):
                return [meta["path"] for meta in page if meta["size"] > 0]
        except BaseError as error:
            if INVALID_KEY not in str(error):
                raise
            return list(self._to_read)
        return []


def with_a_slash(store: "Store", key: str) -> "ObjectMeta | None":
    """What stands under a key with a slash at its end: folder markers aside, it has content.

    The client lists it as if it were the object of the key itself, and cannot ask for it.

    Raises:
        obstore.exceptions.BaseError: The listing failed.
    """
    import obstore  # noqa: PLC0415  shortens start-up

    # It lists what begins with the key and a slash: the object of the key itself is not among it.
    for page in obstore.list(store, key, chunk_size=1):
        for meta in page:
            return meta if meta["path"] == key and meta["size"] else None
    return None


class _VanishedError(Exception):
    """The object is no longer there."""


def _head(url: str) -> Message:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310  the client made the address
    seconds = retrying.SILENCE.total_seconds()
    with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310  as above
        headers: Message = answer.headers
        return headers


def _received(result: "GetResult", size_bytes: int) -> tuple[Content, str, str]:
    """The bytes of an answer, their SHA-256 and their MD5 in hexadecimal."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    if size_bytes <= MAX_MEMORY_BYTES:
        data = bytes(result.bytes())
        sha256.update(data)
        md5.update(data)
        return data, sha256.hexdigest(), md5.hexdigest()
    with want_of_room_explained(), tempfile.TemporaryFile(prefix="keycash-") as file:
        for chunk in result.stream(min_chunk_size=_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
            file.write(chunk)
        return mapped(file), sha256.hexdigest(), md5.hexdigest()
