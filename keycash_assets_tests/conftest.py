"""The real parts, started once per session: an S3 server; warehouse and Dagster are per test."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser

from keycash_assets.bucket import Bucket
from keycash_assets.local.object_store_server import LocalObjectStoreServer
from keycash_assets.settings import Settings
from keycash_assets_tests.browsing import SignIn, running_browser, signing_in
from keycash_assets_tests.event_store import EventServer, EventStore
from keycash_assets_tests.living_platform import (
    SECRETS_OF_THE_ENVIRONMENT,
    LivingPlatform,
    Reader,
)
from keycash_assets_tests.platform import Platform
from keycash_assets_tests.run_process import RunProcesses

hypothesis_settings.register_profile(
    "short",
    deadline=None,
    max_examples=100,
    stateful_step_count=12,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.register_profile(
    "long",
    hypothesis_settings.get_profile("short"),
    max_examples=2_500,
    stateful_step_count=40,
)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one process make all tests of the living platform, and each file be made by one.

    So that with several processes it still starts once, and a module's fixtures too.
    """
    for item in items:
        uses_it = "living" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("living" if uses_it else item.path.name))


@pytest.fixture(scope="session")
def object_store_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that reach a real S3 server, as any client would read them."""
    home = tmp_path_factory.mktemp("object_store")
    with LocalObjectStoreServer(home).running():
        yield {key: value or "" for key, value in dotenv_values(home / "connection.env").items()}


def _own_prefix(object_store_environment: dict[str, str]) -> dict[str, str]:
    url = f"s3://keycash/test-{uuid.uuid4().hex[:12]}"
    return {**object_store_environment, "KEYCASH_OBJECTS_URL": url}


def _own_environment(
    variables: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    for name in list(os.environ):
        if name.startswith(("KEYCASH_", "AWS_", "DAGSTER_")) and name != "KEYCASH_CHALLENGE_DIR":
            monkeypatch.delenv(name)
    values = {**variables, "KEYCASH_HOME": str(home)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@contextmanager
def _platform(environment: dict[str, str]) -> Iterator[Platform]:
    settings = Settings.from_environment(environment)
    bucket = Bucket(environment["KEYCASH_OBJECTS_URL"], environment)
    with Platform.start(settings, bucket) as platform:
        yield platform


@pytest.fixture
def environment(
    object_store_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The process's environment with a prefix of the bucket and a home for this test alone."""
    return _own_environment(_own_prefix(object_store_environment), tmp_path / "home", monkeypatch)


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """The settings of this test."""
    return Settings.from_environment(environment)


@pytest.fixture
def bucket(environment: dict[str, str]) -> Bucket:
    """An empty prefix of a real bucket."""
    return Bucket(environment["KEYCASH_OBJECTS_URL"], environment)


@pytest.fixture
def platform(environment: dict[str, str]) -> Iterator[Platform]:
    """The pipeline on a real bucket, a real DuckDB file and a real Dagster instance."""
    with _platform(environment) as platform:
        yield platform


@pytest.fixture(scope="module")
def module_platform(
    object_store_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A platform that the tests of a module share, for those that only look at it."""
    home = tmp_path_factory.mktemp("module") / "home"
    with pytest.MonkeyPatch.context() as monkeypatch:
        environment = _own_environment(_own_prefix(object_store_environment), home, monkeypatch)
        with _platform(environment) as platform:
            yield platform


@pytest.fixture(scope="session")
def run_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunProcesses]:
    """A server that makes runs in processes of their own."""
    processes = RunProcesses(tmp_path_factory.mktemp("runs"))
    yield processes
    processes.close()


@pytest.fixture(scope="session")
def event_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventServer]:
    """A server that speaks S3 and SQS, and sends the events of the one to the other."""
    with EventServer.start(tmp_path_factory.mktemp("event_server")) as server:
        yield server


@pytest.fixture
def event_store(event_server: EventServer) -> EventStore:
    """An empty bucket whose events go to a queue, in which S3's test event waits."""
    return event_server.create_bucket()


@pytest.fixture
def event_platform(
    event_store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """The pipeline on that bucket, going by its events; its first tick lists the bucket."""
    home = tmp_path / "home"
    with _platform(_own_environment(event_store.environment, home, monkeypatch)) as platform:
        yield platform


@pytest.fixture(scope="session")
def challenge_folder() -> Path:
    """The folder of the 50 real files."""
    folder = os.environ.get("KEYCASH_CHALLENGE_DIR")
    if not folder:
        pytest.skip("KEYCASH_CHALLENGE_DIR does not name the folder of the real challenge files")
    return Path(folder)


@pytest.fixture(scope="session")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingPlatform]:
    """A platform that is up, its source loaded by its sensor, and a reader throughout.

    The source is the real challenge files where ``KEYCASH_CHALLENGE_DIR`` names them, else the
    sample.
    """
    challenge = os.environ.get("KEYCASH_CHALLENGE_DIR")
    variables = {**SECRETS_OF_THE_ENVIRONMENT}
    if challenge:
        variables["KEYCASH_SOURCE"] = challenge
    with LivingPlatform.start(tmp_path_factory.mktemp("up") / "home", variables) as platform:
        platform.wait_until_published("SELECT count(*) FROM object_ledger", [(50,)])
        reader = Reader(platform.snapshot)
        reader.start()
        yield platform
        reader.end()
        assert reader.reads > 0
        assert reader.wrong == [], "a reader saw an error or a torn state"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, for the tests of a module: while it runs, no other event loop can."""
    with running_browser() as browser:
        yield browser


@pytest.fixture
def sign_in(browser: Browser, living: LivingPlatform) -> Iterator[SignIn]:
    """A function that opens a browser of its own for a user of Superset, signed in.

    No page that it opened may have reached anything but Superset.
    """
    with signing_in(browser, living) as sign_in:
        yield sign_in
