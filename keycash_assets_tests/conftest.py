"""The real parts, started once per session: an S3 server; warehouse and Dagster are per test."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from keycash_assets.bucket import Bucket
from keycash_assets.local.object_store_server import LocalObjectStoreServer
from keycash_assets.settings import Settings
from keycash_assets_tests.platform import Platform


@pytest.fixture(scope="session")
def object_store_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that reach a real S3 server, as any client would read them."""
    home = tmp_path_factory.mktemp("object_store")
    with LocalObjectStoreServer(home).running():
        yield {key: value or "" for key, value in dotenv_values(home / "connection.env").items()}


@pytest.fixture
def environment(
    object_store_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The process's environment with a prefix of the bucket and a home for this test alone."""
    for name in list(os.environ):
        if name.startswith(("KEYCASH_", "AWS_", "DAGSTER_")) and name != "KEYCASH_CHALLENGE_DIR":
            monkeypatch.delenv(name)
    values = {
        **object_store_environment,
        "KEYCASH_OBJECTS_URL": f"s3://keycash/test-{uuid.uuid4().hex[:12]}",
        "KEYCASH_HOME": str(tmp_path / "home"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """The settings of this test."""
    return Settings.from_environment(environment)


@pytest.fixture
def bucket(settings: Settings, environment: dict[str, str]) -> Bucket:
    """An empty prefix of a real bucket."""
    assert settings.objects_url is not None
    return Bucket(settings.objects_url, environment)


@pytest.fixture
def platform(settings: Settings, bucket: Bucket) -> Iterator[Platform]:
    """The pipeline on a real bucket, a real DuckDB file and a real Dagster instance."""
    with Platform.start(settings, bucket) as platform:
        yield platform


@pytest.fixture(scope="session")
def challenge_folder() -> Path:
    """The folder of the 50 real files."""
    folder = os.environ.get("KEYCASH_CHALLENGE_DIR")
    if not folder:
        pytest.skip("KEYCASH_CHALLENGE_DIR does not name the folder of the real challenge files")
    return Path(folder)
