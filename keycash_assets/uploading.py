"""Putting the source files into the bucket, skipping what is there already."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from keycash_assets.bucket import Bucket
from keycash_assets.core.objects import ObjectVersion
from keycash_assets.progress import progress_bar
from keycash_assets.sources import SourceFile


@dataclass(frozen=True)
class UploadSummary:
    """What an upload did: objects put, objects left alone, bytes put."""

    put: int
    already_there: int
    size_bytes: int


def upload(bucket: Bucket, files: Sequence[SourceFile]) -> UploadSummary:
    """Put the files that the bucket does not have with the same content.

    Raises:
        ObjectStoreError: The bucket cannot be listed, read or written.
    """
    listed = {version.key: version for version in bucket.all_versions()}
    by_key = {bucket.key_of(file.name): file for file in files}
    unproved = [
        listed[key]
        for key, file in by_key.items()
        if key in listed and not _same_by_etag(listed[key], file)
        if listed[key].size_bytes == file.size_bytes
    ]
    # An ETag need not be an MD5 (multipart, encryption): then the bytes decide.
    same = {
        fetched.version.key
        for fetched in bucket.fetch(unproved)
        if fetched.sha256 == by_key[fetched.version.key].sha256
    } | {key for key, file in by_key.items() if key in listed and _same_by_etag(listed[key], file)}
    missing = {key: file.path for key, file in by_key.items() if key not in same}
    with progress_bar("Uploading", len(missing)) as advance:
        bucket.put_files(missing, lambda: advance(1))
    size_bytes = sum(by_key[key].size_bytes for key in missing)
    return UploadSummary(len(missing), len(same), size_bytes)


def _same_by_etag(version: ObjectVersion, file: SourceFile) -> bool:
    if version.size_bytes != file.size_bytes:
        return False
    return version.etag == hashlib.md5(file.path.read_bytes(), usedforsecurity=False).hexdigest()
