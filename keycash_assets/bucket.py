"""The bucket: S3, Google Cloud Storage, or the local object store, all alike."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from keycash_assets.core.objects import ObjectVersion
from keycash_assets.errors import ObjectStoreError
from keycash_assets.progress import side_by_side
from keycash_assets.reading import INVALID_KEY, FetchedObject, Reader, with_a_slash
from keycash_assets.retrying import (
    client_options,
    client_retries,
    code_of,
    may_pass,
    pauses,
    persistently,
    reason,
)
from keycash_assets.settings import Settings, object_store_environment

if TYPE_CHECKING:
    import pyarrow as pa
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Store
    from obstore.store import S3Config, S3Credential

REQUESTS_IN_FLIGHT = 64
_PLAIN_REQUESTS_IN_FLIGHT = 10
"""As many connections as that client keeps."""

PAGE_OBJECTS = 10_000
_EXPIRED = {"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}


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
        self._new_upload_store = partial(
            _store, parts.scheme, parts.netloc, environment, uploads=True
        )
        self._new_plain_client = partial(_plain_client, environment)

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
        from obstore.exceptions import BaseError  # noqa: PLC0415  shortens start-up

        waits = pauses()
        is_empty = True
        while True:
            try:
                for page in self._unguarded_pages(after):
                    after = page["object_key"][-1].as_py()
                    waits = pauses()
                    is_empty = False
                    yield self._without_folder_markers(page)
                if is_empty:
                    self._raise_if_missing()
            except (BaseError, OSError) as error:  # noqa: PERF203  an attempt costs a request
                if INVALID_KEY in str(error) and self._scheme == "s3":
                    yield from map(self._without_folder_markers, self._plain_pages(after))
                    return
                wait = next(waits, None)
                if wait is None or not may_pass(error):
                    raise self._error("list", error) from error
                time.sleep(wait)
            else:
                return

    def _unguarded_pages(self, after: str | None) -> "Iterator[pa.Table]":
        import obstore  # noqa: PLC0415  shortens start-up

        stream = obstore.list(
            self._store,
            self.prefix or None,
            offset=after,
            chunk_size=PAGE_OBJECTS,
            return_arrow=True,
        )
        return map(_listing, stream)

    def _plain_pages(self, after: str | None) -> "Iterator[pa.Table]":
        """The listing as S3 gives it: the client's ends at a key that it could not ask for."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            pages = (
                self._new_plain_client()
                .get_paginator("list_objects_v2")
                .paginate(Bucket=self.name, Prefix=self.key_of(""), StartAfter=after or "")
            )
            for page in pages:
                if found := page.get("Contents"):
                    yield _plainly_listed(found)
        except (BotoCoreError, ClientError) as error:
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

        Content under a key with a slash at its end, ``a/``, is a version of ``a``, as in ``pages``.
        Of it, and of what stands under a key that the client cannot ask for, such as ``a//b``,
        ``fetch`` says that it cannot be read.

        Returns:
            A table like those of ``pages``.

        Raises:
            ObjectStoreError: The bucket could not be asked.
        """
        import pyarrow as pa  # noqa: PLC0415  shortens start-up

        found, refused = self._heads(keys)
        asked = {key.rstrip("/") for key in keys}
        missing = asked - {meta["path"] for meta in found} - set(refused)
        others = self._concurrently(self._with_a_slash, sorted(missing), "list")
        versions = _versions([*found, *(meta for meta in others if meta is not None)])
        if not refused:
            return versions
        if self._scheme == "s3":
            return pa.concat_tables([versions, self._listed_alone(refused)])
        return pa.concat_tables([versions, *(_among(page, refused) for page in self.pages())])

    def _heads(self, keys: Sequence[str]) -> "tuple[list[ObjectMeta], list[str]]":
        """What stands under these keys, and the keys of which the store does not say it."""
        import obstore  # noqa: PLC0415  shortens start-up
        from obstore.exceptions import BaseError  # noqa: PLC0415

        refused: list[str] = []

        def head(key: str) -> "ObjectMeta | None":
            try:
                return persistently(partial(obstore.head, self._store, key))
            except FileNotFoundError:
                return None
            except (BaseError, ValueError):  # the latter: the client cannot ask for it
                refused.append(key)
                return None

        found = [meta for meta in self._concurrently(head, keys, "read") if meta is not None]
        return found, refused

    def _listed_alone(self, keys: Sequence[str]) -> "pa.Table":
        """What the listing says of these keys, by two requests for each, however many others exist.

        Only the listing tells of an object that is encrypted with a key of its owner's, or stands
        under a key like ``a//b``.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        client = self._new_plain_client()

        def listed(key: str) -> list[dict[str, Any]]:
            # Of all keys that begin with it, the key itself is the first.
            try:
                page = client.list_objects_v2(Bucket=self.name, Prefix=key, MaxKeys=1)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.BAD_REQUEST:
                    return []  # no object can have such a key
                raise
            return [each for each in page.get("Contents", []) if each["Key"] == key]

        names = [name for key in {key.rstrip("/") for key in keys} for name in (key, f"{key}/")]
        try:
            found = side_by_side(listed, names, _PLAIN_REQUESTS_IN_FLIGHT)
        except (BotoCoreError, ClientError) as error:
            raise self._error("list", error) from error
        return self._without_folder_markers(
            _plainly_listed([each for one in found for each in one])
        )

    def _with_a_slash(self, key: str) -> "ObjectMeta | None":
        from obstore.exceptions import BaseError  # noqa: PLC0415  shortens start-up

        try:
            return persistently(partial(with_a_slash, self._store, key))
        except ValueError:  # the client cannot ask for such a key
            return None
        except BaseError as error:
            if INVALID_KEY in str(error):
                return None
            raise

    def fetch(self, versions: Sequence[ObjectVersion]) -> list[FetchedObject]:
        """Read objects concurrently, each only if it still is the version asked for.

        Raises:
            ObjectStoreError: The bucket cannot be read. One object that cannot be, while others
                can, is a result.
            TemporaryFileError: There is no room for a large one on this machine.
        """
        keys = [version.key for version in versions]
        reader = Reader(self._store, self.prefix, self._scheme, keys)
        return self._concurrently(reader.read, versions, "read")

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

        store = self._new_upload_store()

        def put(key: str) -> None:
            obstore.put(store, key, files[key])
            advance()

        self._concurrently(put, list(files), "write to")

    def _concurrently(
        self, request: Callable[[Any], Any], items: Sequence[Any], verb: str
    ) -> list[Any]:
        from obstore.exceptions import BaseError  # noqa: PLC0415  shortens start-up

        try:
            return side_by_side(request, items, REQUESTS_IN_FLIGHT)
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
        found, refused = self._heads(keys)
        objects = set(_identities(_versions(found)))
        is_object = pa.array(
            [
                key in refused or identity in objects
                for key, identity in zip(
                    page["object_key"].to_pylist(), _identities(page), strict=True
                )
            ],
            pa.bool_(),
        )
        return page.filter(pc.or_(pc.invert(is_empty), is_object))

    def _error(self, verb: str, error: Exception) -> ObjectStoreError:
        advice = (
            "The credentials have expired: renew them, and start again what has them in its "
            "environment."
            if code_of(error) in _EXPIRED
            else "Nothing can be listed beside such a key: copy the object to another one, and "
            "delete it."
            if INVALID_KEY in str(error)
            else "Check that the address, the credentials and the permissions are right and that "
            "the object store is up; `keycash status` says what is in use."
        )
        return ObjectStoreError(f"Cannot {verb} {self.url}: {reason(error)}. {advice}")


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


def _plainly_listed(found: Sequence[Mapping[str, Any]]) -> "pa.Table":
    """Objects as S3 itself lists them, as a table like those of ``pages``."""
    return _versions(
        [
            {
                # As the client lists them.
                "path": each["Key"].rstrip("/"),
                "e_tag": each["ETag"],
                "size": each["Size"],
                "last_modified": each["LastModified"],
                "version": None,
            }
            for each in found
        ]
    )


def _strings(values: Collection[str]) -> "pa.Array":
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    return pa.array(values, pa.string())


def _versions(found: "Sequence[ObjectMeta]") -> "pa.Table":
    """What the bucket says of single keys, as a table like those of ``pages``."""
    import pyarrow as pa  # noqa: PLC0415  shortens start-up

    return pa.table(
        {
            "object_key": _strings([meta["path"] for meta in found]),
            "object_etag": _strings([(meta["e_tag"] or "").strip('"') for meta in found]),
            "size_bytes": pa.array([meta["size"] for meta in found], pa.int64()),
            "last_modified": _whole_seconds(
                pa.array([meta["last_modified"] for meta in found], pa.timestamp("us", "UTC"))
            ),
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


def _among(page: "pa.Table", keys: Sequence[str]) -> "pa.Table":
    import pyarrow.compute as pc  # noqa: PLC0415  shortens start-up

    return page.filter(pc.is_in(page["object_key"], value_set=_strings(keys)))


def _store(
    scheme: str, bucket: str, environment: Mapping[str, str], *, uploads: bool = False
) -> "Store":
    """A client that takes its credentials as the cloud's own tools do, to read or to upload."""
    from obstore.store import GCSStore, S3Store  # noqa: PLC0415  shortens start-up

    if scheme == "gs":
        return GCSStore(
            bucket,
            client_options=client_options(allow_http=False, uploads=uploads),
            retry_config=client_retries(),
        )
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    # Named as the variables are: under other names the process's own variables would win.
    config: dict[str, Any] = {"AWS_CHECKSUM_ALGORITHM": "SHA256"}
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if endpoint:
        config["AWS_ENDPOINT_URL_S3"] = endpoint
    if region:
        config["AWS_REGION"] = region
    options: dict[str, Any] = {
        "client_options": client_options(
            allow_http=(endpoint or "").startswith("http://"), uploads=uploads
        ),
        "retry_config": client_retries(),
    }
    if environment.get("AWS_ACCESS_KEY_ID"):
        keys = partial(_keys, environment)
        return S3Store(bucket, config=cast("S3Config", config), credential_provider=keys, **options)
    # Profiles, single sign-on and instance roles are boto3's to know.
    from boto3 import Session  # noqa: PLC0415  slow to import, and only needed here
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    session = Session()
    if session.region_name:
        config.setdefault("AWS_REGION", session.region_name)
    provider = Boto3CredentialProvider(session)
    return S3Store(bucket, config=cast("S3Config", config), credential_provider=provider, **options)


def _keys(environment: Mapping[str, str]) -> "S3Credential":
    """The keys in these variables, all from the same place.

    Told one by one, the client would take a session token, where these have none, from the
    process's own variables: of other keys.
    """
    return {
        "access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY", ""),
        "token": environment.get("AWS_SESSION_TOKEN") or None,
        "expires_at": None,
    }


def _plain_client(environment: Mapping[str, str]) -> Any:
    """A client of S3 that takes every key for what it is."""
    from boto3 import Session  # noqa: PLC0415  slow to import, and only needed here

    session = Session(
        environment.get("AWS_ACCESS_KEY_ID"),
        environment.get("AWS_SECRET_ACCESS_KEY"),
        environment.get("AWS_SESSION_TOKEN"),
        environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
    )
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    return session.client("s3", endpoint_url=endpoint)


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
