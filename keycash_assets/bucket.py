"""The bucket: S3, Google Cloud Storage, or the local object store, all alike."""

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from keycash_assets.core.documents import MAX_MEMORY_BYTES, Content, mapped
from keycash_assets.core.objects import ObjectVersion
from keycash_assets.errors import ObjectStoreError
from keycash_assets.settings import Settings, object_store_environment

if TYPE_CHECKING:
    import pyarrow as pa
    from obstore import GetResult, ObjectMeta
    from obstore.store import ObjectStore as Store
    from obstore.store import S3Config

REQUESTS_IN_FLIGHT = 64
PAGE_OBJECTS = 10_000
_CHUNK_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class FetchedObject:
    """An object's bytes, proved to be those of the version that was asked for.

    Attributes:
        version: What was asked for.
        data: The bytes, in memory or mapped; None if the version is no longer there.
        sha256: Digest of the bytes in hexadecimal; empty without them.
    """

    version: ObjectVersion
    data: Content | None
    sha256: str


class Bucket:
    """The objects under one prefix of one bucket.

    Args:
        url: ``s3://bucket/prefix`` or ``gs://bucket/prefix``.
        environment: Variables as the clouds' own tools read them (``AWS_*``, ``GOOGLE_*``).
    """

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.url = url
        self.name = parts.netloc
        self.prefix = parts.path.strip("/")
        self._scheme = parts.scheme
        self._store = _store(parts.scheme, parts.netloc, environment)

    def key_of(self, name: str) -> str:
        """The key of a file of this name under the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def pages(self, after: str | None = None) -> "Iterator[pa.Table]":
        """List the objects, a page at a time, in the bucket's own order.

        Args:
            after: Key of the last object of an earlier, unfinished listing.

        Yields:
            Tables of ``object_key``, ``object_etag`` (without quotes), ``size_bytes`` and
            ``last_modified``.

        Raises:
            ObjectStoreError: The listing failed; what came before it is not the whole bucket.
        """
        import obstore  # noqa: PLC0415  shortens start-up
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            stream = obstore.list(
                self._store,
                self.prefix or None,
                offset=after,
                chunk_size=PAGE_OBJECTS,
                return_arrow=True,
            )
            is_empty = True
            for page in stream:
                is_empty = False
                yield self._without_folder_markers(_listing(page))
            if is_empty:
                self._raise_if_missing()
        except (BaseError, OSError) as error:
            raise self._error("list", error) from error

    def all_versions(self) -> list[ObjectVersion]:
        """List every object under the prefix.

        Raises:
            ObjectStoreError: The listing failed.
        """
        columns = ("last_modified", "object_key", "object_etag", "size_bytes")
        return [
            ObjectVersion(*row)
            for page in self.pages()
            for row in zip(*(page[name].to_pylist() for name in columns), strict=True)
        ]

    def current_versions(self, keys: Sequence[str]) -> "pa.Table":
        """The versions that these keys have now; a key that is not there is left out.

        So is a key that the client cannot ask for, such as ``a//b``.

        Returns:
            A table like those of ``pages``.

        Raises:
            ObjectStoreError: The bucket could not be asked.
        """
        import obstore  # noqa: PLC0415  shortens start-up
        import pyarrow as pa  # noqa: PLC0415  shortens start-up

        async def head(key: str) -> "ObjectMeta | None":
            try:
                return await obstore.head_async(self._store, key)
            except (FileNotFoundError, ValueError):  # the latter from reading the key as a path
                return None

        found = [meta for meta in self._concurrently(head, keys, "read") if meta is not None]
        return pa.table(
            {
                "object_key": pa.array([meta["path"] for meta in found], pa.string()),
                "object_etag": pa.array(
                    [(meta["e_tag"] or "").strip('"') for meta in found], pa.string()
                ),
                "size_bytes": pa.array([meta["size"] for meta in found], pa.int64()),
                "last_modified": _whole_seconds(
                    pa.array([meta["last_modified"] for meta in found], pa.timestamp("us", "UTC"))
                ),
            }
        )

    def fetch(self, versions: Sequence[ObjectVersion]) -> list[FetchedObject]:
        """Read objects concurrently, each only if it still is the version asked for.

        What is larger than ``MAX_MEMORY_BYTES`` goes to a temporary file.

        Raises:
            ObjectStoreError: The bucket could not be read, or gave fewer bytes than it lists.
        """
        import obstore  # noqa: PLC0415  shortens start-up
        from obstore.exceptions import PreconditionError  # noqa: PLC0415

        async def get(version: ObjectVersion) -> FetchedObject:
            try:
                result = await obstore.get_async(
                    self._store,
                    version.key,
                    options={"if_match": self._entity_tag(version.etag)},
                )
                data, sha256 = await _received(result, version.size_bytes)
            except (FileNotFoundError, PreconditionError):
                return FetchedObject(version, None, "")
            if len(data) != version.size_bytes:
                raise ObjectStoreError(
                    f"{version.key}: {len(data):,} bytes came, {version.size_bytes:,} are listed "
                    f"for version {version.etag}. Nothing of it was loaded; the next run tries "
                    "again."
                )
            return FetchedObject(version, data, sha256)

        return self._concurrently(get, versions, "read")

    def put_files(
        self,
        files: Mapping[str, Path],
        advance: Callable[[], None],
    ) -> None:
        """Put files into the bucket concurrently, each with a SHA-256 that the bucket verifies.

        Args:
            files: Path of each file by object key.
            advance: Called after each file, for a progress bar.

        Raises:
            ObjectStoreError: A file could not be put; those put before it stay.
        """
        import obstore  # noqa: PLC0415  shortens start-up

        async def put(key: str) -> None:
            await obstore.put_async(self._store, key, files[key])
            advance()

        self._concurrently(put, list(files), "write to")

    def _concurrently(
        self, request: Callable[[Any], Any], items: Sequence[Any], verb: str
    ) -> list[Any]:
        from obstore.exceptions import BaseError  # noqa: PLC0415  shortens start-up

        async def all_of_them() -> list[Any]:
            places = asyncio.Semaphore(REQUESTS_IN_FLIGHT)

            async def one(item: Any) -> Any:
                async with places:
                    return await request(item)

            return list(await asyncio.gather(*(one(item) for item in items)))

        try:
            return asyncio.run(all_of_them())
        except (BaseError, OSError) as error:
            raise self._error(verb, error) from error

    def _raise_if_missing(self) -> None:
        """The listing of a bucket that does not exist is as empty as that of an empty one.

        Raises:
            FileNotFoundError: There is no such bucket.
        """
        import obstore  # noqa: PLC0415  shortens start-up

        try:
            obstore.get(self._store, self.key_of("is-there-such-a-bucket"))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise FileNotFoundError(f"there is no bucket {self.name!r}") from error

    def _without_folder_markers(self, page: "pa.Table") -> "pa.Table":
        """Keys that end in ``/`` are listed without it: there stands another object, or none."""
        import pyarrow as pa  # noqa: PLC0415  shortens start-up
        import pyarrow.compute as pc  # noqa: PLC0415  shortens start-up

        is_empty = pc.equal(page["size_bytes"], 0)
        keys = page.filter(is_empty)["object_key"].to_pylist()
        if not keys:
            return page
        objects = set(_identities(self.current_versions(keys)))
        is_object = pa.array([identity in objects for identity in _identities(page)], pa.bool_())
        return page.filter(pc.or_(pc.invert(is_empty), is_object))

    def _entity_tag(self, etag: str) -> str:
        return f'"{etag}"' if self._scheme == "s3" else etag

    def _error(self, verb: str, error: Exception) -> ObjectStoreError:
        reason = str(error).split("\n\nDebug source", 1)[0]
        return ObjectStoreError(
            f"Cannot {verb} {self.url}: {reason}. Check that the address, the credentials and the "
            "permissions are right and that the object store is up; `keycash status` says what is "
            "in use."
        )


def _listing(page: object) -> "pa.Table":
    """A page as obstore gives it, with the columns of the ledger."""
    import pyarrow as pa  # noqa: PLC0415  shortens start-up
    import pyarrow.compute as pc  # noqa: PLC0415  shortens start-up

    batch = pa.record_batch(page)
    return pa.table(
        {
            "object_key": batch["path"],
            "object_etag": pc.utf8_trim(pc.fill_null(batch["e_tag"], ""), '"'),
            "size_bytes": batch["size"].cast(pa.int64()),
            "last_modified": _whole_seconds(batch["last_modified"]),
        }
    )


def _identities(page: "pa.Table") -> Iterator[tuple[object, ...]]:
    """What tells each version of a page from all others."""
    columns = ("object_key", "object_etag", "last_modified")
    return zip(*(page[name].to_pylist() for name in columns), strict=True)


def _whole_seconds(times: "pa.Array") -> "pa.Array":
    """Some stores list fractions, but none gives them where an object is asked for by its key."""
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    return times.cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.timestamp("us", "UTC"))


async def _received(result: "GetResult", size_bytes: int) -> tuple[Content, str]:
    """The bytes of an answer and their digest in hexadecimal."""
    if size_bytes <= MAX_MEMORY_BYTES:
        data = bytes(await result.bytes_async())
        return data, hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256()
    with tempfile.TemporaryFile(prefix="keycash-") as file:
        async for chunk in result.stream(min_chunk_size=_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        return mapped(file), digest.hexdigest()


def _store(scheme: str, bucket: str, environment: Mapping[str, str]) -> "Store":
    """A client that takes its credentials as the cloud's own tools do."""
    from obstore.store import GCSStore, S3Store  # noqa: PLC0415  shortens start-up

    if scheme == "gs":
        return GCSStore(bucket)
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    # Named as the variables are: under other names the process's own variables would win.
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    config: dict[str, Any] = {name: environment[name] for name in names if environment.get(name)}
    config["AWS_CHECKSUM_ALGORITHM"] = "SHA256"
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if endpoint:
        config["AWS_ENDPOINT_URL_S3"] = endpoint
    if region:
        config["AWS_REGION"] = region
    options: dict[str, Any] = {
        "client_options": {
            "allow_http": (endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(minutes=5),
        },
        "retry_config": {"max_retries": 5, "retry_timeout": timedelta(seconds=20)},
    }
    if "AWS_ACCESS_KEY_ID" in config:
        return S3Store(bucket, config=cast("S3Config", config), **options)
    # Profiles, single sign-on and instance roles are boto3's to know.
    from boto3 import Session  # noqa: PLC0415  slow to import, and only needed here
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    session = Session()
    if session.region_name:
        config.setdefault("AWS_REGION", session.region_name)
    provider = Boto3CredentialProvider(session)
    return S3Store(bucket, config=cast("S3Config", config), credential_provider=provider, **options)


def bucket_of(settings: Settings, environment: Mapping[str, str]) -> Bucket:
    """The bucket of the settings.

    Raises:
        SettingsError: The local object store was never started.
    """
    variables = object_store_environment(settings, environment)
    return Bucket(settings.objects_url or variables["KEYCASH_OBJECTS_URL"], variables)


def batches(
    versions: Iterable[ObjectVersion], max_bytes: int, max_objects: int
) -> Iterator[list[ObjectVersion]]:
    """Group versions, in order, into batches whose bytes fit into memory.

    Args:
        versions: What is to be read.
        max_bytes: Size of a batch; an object that is larger makes a batch of its own.
        max_objects: Number of objects in a batch.
    """
    batch: list[ObjectVersion] = []
    size = 0
    for version in versions:
        if batch and (size + version.size_bytes > max_bytes or len(batch) >= max_objects):
            yield batch
            batch, size = [], 0
        batch.append(version)
        size += version.size_bytes
    if batch:
        yield batch
