"""The local object store: for nobody but who has its keys, and there again after a restart."""

import json
import os
import stat
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from dotenv import dotenv_values

from keycash_assets.bucket import Bucket
from keycash_assets.errors import ServerError
from keycash_assets.local.object_store_server import LocalObjectStoreServer
from keycash_assets.local.processes import Supervisor, raise_if_ended, stop


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def _sockets(process: Path, group: int) -> set[str]:
    sockets = set()
    with suppress(OSError):  # the process ended meanwhile
        if os.getpgid(int(process.name)) == group:
            for handle in (process / "fd").iterdir():
                with suppress(OSError):  # the process closed this one meanwhile, but has others
                    sockets.add(str(handle.readlink()))
    return sockets


def _listening(group: int) -> set[str]:
    """Addresses at which processes of a group listen, in the kernel's hexadecimal."""
    sockets = {
        name for process in Path("/proc").glob("[0-9]*") for name in _sockets(process, group)
    }
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                addresses.add(fields[1].split(":")[0])
    return addresses


def test_a_life_of_the_store(tmp_path: Path) -> None:
    """Private files, no way in without keys, this machine only, data there after a restart."""
    home = tmp_path / "object_store"
    server = LocalObjectStoreServer(home)
    with Supervisor() as supervisor, server.start(supervisor) as process:
        for name in ("connection.env", "keys.json", "config/security.toml"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
        connection = {k: v or "" for k, v in dotenv_values(home / "connection.env").items()}
        bucket = Bucket(connection["KEYCASH_OBJECTS_URL"], connection)
        source = tmp_path / "a.json"
        source.write_bytes(b"[]")
        bucket.put_files({bucket.key_of("a.json"): source}, lambda: None)
        endpoint = connection["AWS_ENDPOINT_URL_S3"]
        for path in ("/", "/keycash", f"/keycash/{bucket.key_of('a.json')}"):
            assert _status(endpoint + path) == 403, path
        ports = json.loads((home / "ports.json").read_text())
        filer = f"http://127.0.0.1:{ports['filer']}"
        assert _status(f"{filer}/buckets/keycash/{bucket.key_of('a.json')}") == 401
        assert _listening(process.pid) == {"0100007F"}
        command = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert connection["AWS_SECRET_ACCESS_KEY"] not in command
        with pytest.raises(ServerError, match="stop it first"), server.start(supervisor):
            pass
    assert not process.group_is_alive()
    with server.running():
        again = {k: v or "" for k, v in dotenv_values(home / "connection.env").items()}
        assert again["AWS_SECRET_ACCESS_KEY"] == connection["AWS_SECRET_ACCESS_KEY"]
        listed = Bucket(again["KEYCASH_OBJECTS_URL"], again).all_versions()
    assert [version.key for version in listed] == [bucket.key_of("a.json")]


def test_a_server_that_ends_by_itself_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        process = supervisor.start(
            "The server", ["/bin/sh", "-c", "echo out of luck; exit 3"], {}, tmp_path / "log"
        )
        while process.exit_code is None:
            os.sched_yield()
        with pytest.raises(ServerError, match=r"exit code 3[\s\S]*out of luck"):
            raise_if_ended(process)


def test_a_process_that_ignores_the_request_to_stop_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keycash_assets.local.processes.STOP_SECONDS", 0.3)
    script = "trap '' TERM; sleep 600 & echo ready; while true; do wait; done"
    with Supervisor() as supervisor:
        log = tmp_path / "log"
        process = supervisor.start("Stubborn", ["/bin/sh", "-c", script], {}, log)
        while "ready" not in log.read_text():
            os.sched_yield()
        stop([process])
        assert not process.group_is_alive()
