"""Uploading: the bucket verifies what it gets, and what it has already is left alone."""

import base64
import hashlib
import re
from pathlib import Path

import boto3
import pytest

from keycash_assets.bucket import Bucket
from keycash_assets.sources import SourceFile, fetch_source_files
from keycash_assets.uploading import UploadSummary, upload
from keycash_assets_tests.fault_proxy import FaultProxy, Request

CONTENT = b"[1, 2]"


@pytest.fixture
def files(tmp_path: Path) -> tuple[SourceFile, ...]:
    """One source file."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.json").write_bytes(CONTENT)
    return tuple(fetch_source_files(str(folder), tmp_path / "unused").files)


def test_each_file_is_sent_with_its_sha256(
    environment: dict[str, str],
    files: tuple[SourceFile, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it the bucket keeps what a faulty network made of the file."""
    sent: list[Request] = []
    ask = FaultProxy._ask

    async def recorded(proxy: FaultProxy, request: Request) -> object:
        sent.append(request)
        return await ask(proxy, request)

    monkeypatch.setattr(FaultProxy, "_ask", recorded)
    with FaultProxy(environment["AWS_ENDPOINT_URL_S3"]).running() as proxy:
        through_proxy = {**environment, "AWS_ENDPOINT_URL_S3": proxy.endpoint}
        upload(Bucket(environment["KEYCASH_OBJECTS_URL"], through_proxy), files)
    (put,) = (request for request in sent if request.method == "PUT")
    checksum = re.search(rb"\r\nx-amz-checksum-sha256: *(\S+)", put.head, re.IGNORECASE)
    assert checksum is not None
    assert base64.b64decode(checksum[1]) == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize(
    ("there", "summary"),
    [
        (CONTENT, UploadSummary(put=0, already_there=1, size_bytes=0)),
        (b"[1, 3]", UploadSummary(put=1, already_there=0, size_bytes=len(CONTENT))),
    ],
)
def test_where_the_etag_is_no_md5_the_bytes_decide(
    environment: dict[str, str],
    bucket: Bucket,
    files: tuple[SourceFile, ...],
    there: bytes,
    summary: UploadSummary,
) -> None:
    """An object of several parts: by its ETag it would be put again, by its size never."""
    client = boto3.Session().client("s3", endpoint_url=environment["AWS_ENDPOINT_URL_S3"])
    name = {"Bucket": bucket.name, "Key": bucket.key_of("a.json")}
    part = {**name, "UploadId": client.create_multipart_upload(**name)["UploadId"]}
    etag = client.upload_part(**part, PartNumber=1, Body=there)["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    client.complete_multipart_upload(**part, MultipartUpload=parts)
    assert "-" in bucket.all_versions()[0].etag
    assert upload(bucket, files) == summary
    assert client.get_object(**name)["Body"].read() == CONTENT
