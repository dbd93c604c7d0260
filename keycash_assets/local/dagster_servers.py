"""Dagster's three servers: the code server, the web server and the daemon."""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keycash_assets.errors import ServerError
from keycash_assets.local.processes import (
    ManagedProcess,
    Supervisor,
    free_ports,
    preferred_port,
    wait_until,
)
from keycash_assets.settings import Settings

START_SECONDS = 300.0
USUAL_PORT = 3000

_HEALTH = """
{
  workspaceOrError {
    ... on Workspace {
      locationEntries { loadStatus locationOrLoadError { ... on PythonError { message } } }
    }
    ... on PythonError { message }
  }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
}
"""


class DagsterServers:
    """The servers on 127.0.0.1, started under a supervisor; state in ``DAGSTER_HOME``.

    The web server and the daemon share one code server; the daemon forks the runs. Their logs
    stand beside that folder: Dagster's web server sends whatever it finds in ``DAGSTER_HOME/logs``
    to its makers and deletes it, even with telemetry switched off in ``dagster.yaml``.

    Args:
        settings: The settings.
        supervisor: Stops them.
        superset_url: Where the dashboards are.
    """

    def __init__(self, settings: Settings, supervisor: Supervisor, superset_url: str) -> None:
        home = settings.dagster_home
        code_port = free_ports(1)[0]
        port = preferred_port(USUAL_PORT)
        self.url = f"http://127.0.0.1:{port}"
        workspace = home / "workspace.yaml"
        workspace.write_text(_workspace(code_port))
        environment = {
            "KEYCASH_SUPERSET_URL": superset_url,
            **os.environ,
            "DAGSTER_HOME": str(home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        programs = Path(sys.executable).parent
        listening = ["--host", "127.0.0.1", "--port"]
        commands: Mapping[str, list[str]] = {
            "code server": [
                str(programs / "dagster"),
                *("api", "grpc", "--module-name", "keycash_assets.definitions"),
                *("--location-name", "keycash_assets", *listening, str(code_port)),
            ],
            "web server": [
                str(programs / "dagster-webserver"),
                *("--workspace", str(workspace), *listening, str(port)),
            ],
            "daemon": [str(programs / "dagster-daemon"), "run", "--workspace", str(workspace)],
        }
        self._processes: list[ManagedProcess] = [
            supervisor.start(
                f"Dagster's {name}",
                command,
                environment,
                settings.home / "logs" / f"dagster_{name.replace(' ', '_')}.log",
            )
            for name, command in commands.items()
        ]

    def wait_until_healthy(self) -> None:
        """Wait until the code is loaded, the web server answers and every daemon is at work.

        Raises:
            ServerError: The code cannot be loaded, or a server ended or was not ready in time.
        """
        wait_until(self._is_healthy, self._processes, START_SECONDS)

    def _is_healthy(self) -> bool:
        answer = self._ask(_HEALTH)
        if answer is None:
            return False
        workspace = answer["workspaceOrError"]
        entries = workspace.get("locationEntries", [])
        for failure in (workspace, *(entry["locationOrLoadError"] or {} for entry in entries)):
            # Web server and daemon connect again by themselves while the code server starts.
            if "message" in failure and "Could not reach" not in failure["message"]:
                raise ServerError(f"Dagster cannot load the platform's code: {failure['message']}")
        statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
        return (
            bool(entries)
            and all(entry["loadStatus"] == "LOADED" for entry in entries)
            and not any("message" in (entry["locationOrLoadError"] or {}) for entry in entries)
            and all(status["healthy"] for status in statuses if status["required"])
        )

    def _ask(self, query: str) -> Any:
        request = urllib.request.Request(  # noqa: S310  our own server
            f"{self.url}/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return json.load(response)["data"]
        except OSError:
            return None


def _workspace(code_port: int) -> str:
    return (
        "load_from:\n"
        "  - grpc_server:\n"
        "      host: 127.0.0.1\n"
        f"      port: {code_port}\n"
        "      location_name: keycash_assets\n"
    )
