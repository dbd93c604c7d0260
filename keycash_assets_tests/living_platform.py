"""`keycash up` in processes of its own, as a person starts it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import duckdb
from dotenv import dotenv_values

# What a test puts in its place is not for the reader beside it.
_connect = duckdb.connect

KEYCASH = Path(sys.executable).with_name("keycash")
STOP_SECONDS = 15.0
"""How long a stop may take, by the contract."""

SECRETS_OF_THE_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAOFANOTHERCLOUD000",
    "AWS_SECRET_ACCESS_KEY": "secret-key-of-another-cloud",
    "AWS_SESSION_TOKEN": "session-token-of-another-cloud",
    "MOTHERDUCK_TOKEN": "token-of-motherduck",
}
"""What somebody may have in their environment who starts a local platform beside their cloud."""


def bare_environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of somebody who has set nothing but these variables and a home."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KEYCASH_", "AWS_", "DAGSTER_"))
    }
    return {**inherited, "KEYCASH_HOME": str(home), **variables}


def keycash(home: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a `keycash` command to its end, as a person would who has set only these variables."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".env").touch()  # what a developer has in theirs is not read
    return subprocess.run(
        [KEYCASH, *arguments],
        env=bare_environment(home, **variables),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def processes_of(home: Path) -> list[int]:
    """The processes that were started with this ``KEYCASH_HOME``, directly or not."""
    needle = f"KEYCASH_HOME={home}\0".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if needle in environment + b"\0" and state != "Z":
            found.append(int(process.name))
    return found


def wait_for(is_so: Callable[[], bool], what: str, timeout_seconds: float = 90) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: It was not within that time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_seconds:.0f} s")
        time.sleep(0.1)


class LivingPlatform:
    """A running `keycash up`.

    Args:
        home: Its ``KEYCASH_HOME``.
        process: It.
        log: What it prints.
    """

    def __init__(self, home: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.home = home
        self.process = process
        self.log = log

    @classmethod
    @contextmanager
    def start(cls, home: Path, variables: Mapping[str, str]) -> Iterator["LivingPlatform"]:
        """Start it, and wait until it says that it is up; stop it at the end if it still runs."""
        home.mkdir(parents=True, exist_ok=True)
        log = home / "up.log"
        (home / ".env").touch()  # what a developer has in theirs is not read
        with log.open("wb") as output:
            process = subprocess.Popen(
                [KEYCASH, "up"],
                env=bare_environment(home, **variables),
                cwd=home,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        platform = cls(home, process, log)
        try:
            wait_for(platform.is_up_or_ended, "healthy", 240)
            assert process.poll() is None, log.read_text()
            yield platform
        finally:
            if process.poll() is None:
                platform.stop(signal.SIGTERM)

    def is_up_or_ended(self) -> bool:
        """Whether it has said that it is up, or will never say so."""
        return "The platform is up" in self.log.read_text() or self.process.poll() is not None

    def stop(self, number: signal.Signals) -> float:
        """Ask it to stop as a person or the system does; seconds until it ended."""
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=60)
        return time.monotonic() - started

    @cached_property
    def _connection(self) -> dict[str, str]:
        values = dotenv_values(self.home / "object_store" / "connection.env")
        return {name: value or "" for name, value in values.items()}

    @cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self._connection["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=self._connection["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._connection["AWS_SECRET_ACCESS_KEY"],
            region_name=self._connection["AWS_REGION"],
        )

    def put(self, name: str, content: bytes) -> None:
        """Put an object as any S3 client would."""
        bucket, prefix = self._connection["KEYCASH_OBJECTS_URL"].removeprefix("s3://").split("/", 1)
        self._client.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=content)

    @property
    def snapshot(self) -> Path:
        """What readers open."""
        return self.home / "published" / "keycash.duckdb"

    def published(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the published snapshot; none before the first publication."""
        if not self.snapshot.exists():
            return []
        with duckdb.connect(self.snapshot, read_only=True) as connection:
            return connection.execute(query).fetchall()

    def wait_until_published(self, query: str, expected: list[tuple[Any, ...]]) -> None:
        """Wait until a query on the published snapshot gives these rows.

        Raises:
            TimeoutError: It did not; the message shows what it gave.
        """
        seen: list[tuple[Any, ...]] = []

        def is_there() -> bool:
            seen[:] = self.published(query)
            return seen == expected

        try:
            wait_for(is_there, "published")
        except TimeoutError as error:
            raise TimeoutError(f"{query}: {seen} instead of {expected}") from error


class Reader(threading.Thread):
    """Reads the published snapshot again and again, and remembers whatever was not right."""

    def __init__(self, snapshot: Path) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.reads = 0
        self.wrong: list[str] = []
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Read ten times a second: the day totals must be those of the requests that count."""
        while not self._stop_asked.wait(0.1):
            try:
                with _connect(self.snapshot, read_only=True) as connection:
                    ((by_day, by_request),) = connection.execute(
                        "SELECT (SELECT sum(credito_solicitado) FROM credit_per_day), "
                        "(SELECT sum(credito_solicitado) FROM credit_requests WHERE is_latest)"
                    ).fetchall()
            except Exception as error:  # noqa: BLE001  whatever it is, a reader saw it
                self.wrong.append(repr(error))
            else:
                if by_day != by_request:
                    self.wrong.append(f"torn: {by_day} by day, {by_request} by request")
            self.reads += 1

    def end(self) -> None:
        """Stop reading."""
        self._stop_asked.set()
        self.join()
