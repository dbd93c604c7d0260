"""Apache Superset, in a virtual environment of its own, on the published snapshot."""

import json
import os
import secrets
from pathlib import Path

from keycash_assets.errors import ServerError
from keycash_assets.local.private_files import make_private_folder, write_private
from keycash_assets.local.processes import (
    ManagedProcess,
    Supervisor,
    answers,
    preferred_port,
    wait_until,
)
from keycash_assets.settings import REPOSITORY, Settings

START_SECONDS = 600.0
"""Its first start takes half a minute, and many times that on a busy machine."""
USUAL_PORT = 8088
FOLDER = REPOSITORY / "superset"


class SupersetServer:
    """One gunicorn process on 127.0.0.1; its state lives in ``KEYCASH_HOME/superset``.

    Args:
        settings: The settings.
        supervisor: Stops it.

    Raises:
        ServerError: Superset is not installed.
    """

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        program = REPOSITORY / ".venv-superset" / "bin" / "gunicorn"
        if not program.exists():
            raise ServerError(f"Superset is not installed ({program} is missing): run `make up`.")
        home = settings.home / "superset"
        make_private_folder(home)
        _generate_secrets(_secrets_path(settings))
        port = preferred_port(USUAL_PORT)
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "KEYCASH_HOME": str(settings.home),
            "KEYCASH_WAREHOUSE": settings.warehouse,
            "KEYCASH_PUBLISHED": str(settings.published),
            "SUPERSET_CONFIG_PATH": str(FOLDER / "superset_config.py"),
            "PYTHONWARNINGS": "ignore",
        }
        self._process: ManagedProcess = supervisor.start(
            "Superset",
            [
                str(program),
                *("--bind", f"127.0.0.1:{port}", "--workers", "1", "--worker-class", "gthread"),
                *("--threads", "8", "--timeout", "180", "--graceful-timeout", "3"),
                # Beside this folder and not above it: there it would hide the package superset.
                *("--chdir", str(FOLDER), "wsgi:application"),
            ],
            environment,
            home / "superset.log",
        )

    def wait_until_healthy(self) -> None:
        """Wait until the sign-in page answers.

        Raises:
            ServerError: It ended, or was not ready in time.
        """
        wait_until(lambda: answers(f"{self.url}/login/"), [self._process], START_SECONDS)


def sign_ins(settings: Settings) -> dict[str, str]:
    """Password by user; none before the first start."""
    path = _secrets_path(settings)
    if not path.exists():
        return {}
    passwords: dict[str, str] = json.loads(path.read_text())["passwords"]
    return {user: passwords[user] for user in _users() if user in passwords}


def _users() -> list[str]:
    """The administrator, and one user for each role."""
    import yaml  # noqa: PLC0415  shortens start-up

    return ["admin", *yaml.safe_load((FOLDER / "roles.yaml").read_text("utf-8"))]


def _generate_secrets(path: Path) -> None:
    """Have a secret key, and a password for each user; what is there stays."""
    there = json.loads(path.read_text()) if path.exists() else {}
    wanted = {
        "secret_key": there.get("secret_key") or secrets.token_urlsafe(42),
        "passwords": {
            **{user: secrets.token_urlsafe(12) for user in _users()},
            **there.get("passwords", {}),
        },
    }
    if wanted != there:
        write_private(path, json.dumps(wanted, indent=2))


def _secrets_path(settings: Settings) -> Path:
    return settings.home / "superset" / "secrets.json"
