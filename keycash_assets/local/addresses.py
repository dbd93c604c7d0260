"""Where the servers of a living platform answer, for `keycash status`."""

import json
from collections.abc import Mapping
from pathlib import Path

from keycash_assets.local.locks import is_held
from keycash_assets.settings import Settings


def platform_lock(settings: Settings) -> Path:
    """File whose lock the living platform holds."""
    return settings.home / "up.lock"


def write_addresses(settings: Settings, addresses: Mapping[str, str]) -> None:
    """Leave the addresses, by name of the server, where ``read_addresses`` finds them."""
    _path(settings).write_text(json.dumps(addresses, indent=2))


def read_addresses(settings: Settings) -> dict[str, str]:
    """The addresses by name of the server; none while the platform is not up."""
    path = _path(settings)
    if not is_held(platform_lock(settings)) or not path.is_file():
        return {}
    addresses: dict[str, str] = json.loads(path.read_text())
    return addresses


def _path(settings: Settings) -> Path:
    return settings.home / "addresses.json"
