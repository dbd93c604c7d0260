"""A bucket in memory, for tests of what becomes of objects rather than of how they travel."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import pyarrow as pa
from obstore.store import MemoryStore

from keycash_assets.bucket import Bucket
from keycash_assets.core.objects import ObjectVersion
from keycash_assets.reading import FetchedObject

_BEGINNING = datetime(2022, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class _Put:
    """What the store says of an object, and what S3 would say of it."""

    own_etag: str
    etag: str
    last_modified: datetime


class MemoryBucket(Bucket):
    """Objects of this process, listed as S3 lists them: the ETag is the MD5 of the content.

    So the same content put again is the same ETag at another moment: each put has a second of its
    own.
    """

    def __init__(self) -> None:
        self.url = "memory://bucket/prefix"
        self.name = "bucket"
        self.prefix = "prefix"
        self._scheme = "s3"
        self._memory = MemoryStore()
        self._store = self._memory
        self._puts: dict[str, _Put] = {}
        self._clock = _BEGINNING

    def put(self, key: str, content: bytes) -> None:
        """Put an object."""
        self._clock += timedelta(seconds=1)
        own_etag = self._memory.put(key, content)["e_tag"]
        assert own_etag is not None
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self._puts[key] = _Put(own_etag.strip('"'), etag, self._clock)

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._memory.delete(key)
        del self._puts[key]

    def pages(self, after: str | None = None) -> Iterator[pa.Table]:
        """The listing, with what S3 would say."""
        yield from map(self._as_s3_lists, super().pages(after))

    def current_versions(self, keys: Sequence[str]) -> pa.Table:
        """What stands under these keys, with what S3 would say."""
        return self._as_s3_lists(super().current_versions(keys))

    def fetch(self, versions: Sequence[ObjectVersion]) -> list[FetchedObject]:
        """Read the objects that still are of these versions."""
        known = [
            replace(version, etag=put.own_etag if put and put.etag == version.etag else "another")
            for version in versions
            for put in (self._puts.get(version.key),)
        ]
        return [
            replace(read, version=version)
            for read, version in zip(super().fetch(known), versions, strict=True)
        ]

    def _as_s3_lists(self, page: pa.Table) -> pa.Table:
        puts = [self._puts[key] for key in page["object_key"].to_pylist()]
        columns = {
            "object_etag": pa.array([put.etag for put in puts], pa.string()),
            "last_modified": pa.array(
                [put.last_modified for put in puts], page.schema.field("last_modified").type
            ),
        }
        for name, values in columns.items():
            page = page.set_column(page.schema.get_field_index(name), name, values)
        return page
