"""One platform at a time on a home, on a warehouse file and on a snapshot.

Two of them would load two buckets into one warehouse in turn, or each publish over the other. The
warehouse of MotherDuck cannot be locked from here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from keycash_assets.errors import ServerError
from keycash_assets.local.addresses import platform_lock
from keycash_assets.local.locks import held_lock, is_held
from keycash_assets.settings import Settings


@contextmanager
def only_platform(settings: Settings) -> Iterator[None]:
    """Be the only living platform on what these settings name.

    Raises:
        ServerError: There is one already.
    """
    refusal = (
        f"The platform of {settings.home} is up already: `keycash status` prints its addresses. "
        "For a second one set KEYCASH_HOME to another folder."
    )
    with ExitStack() as locks:
        locks.enter_context(held_lock(platform_lock(settings), refusal))
        for path, what in _shared_files(settings).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            locks.enter_context(held_lock(path, _refusal(path, what)))
            path.write_text(str(settings.home), "utf-8")
        yield


def refuse_beside_another_platform(settings: Settings) -> None:
    """Keep a single run away from what the living platform of another home works on.

    Raises:
        ServerError: There is such a platform.
    """
    for path, what in _shared_files(settings).items():
        if is_held(path) and path.read_text("utf-8") != str(settings.home):
            raise ServerError(_refusal(path, what))


def _shared_files(settings: Settings) -> dict[Path, str]:
    """Lock file of each file that two homes could name, with what to say of that file."""
    if settings.uses_motherduck:
        return {}
    files = {"KEYCASH_WAREHOUSE": Path(settings.warehouse), "KEYCASH_PUBLISHED": settings.published}
    locks = {name: path.resolve().with_name(f"{path.name}.lock") for name, path in files.items()}
    return {locks[name]: f"{path} ({name})" for name, path in files.items()}


def _refusal(path: Path, what: str) -> str:
    home = path.read_text("utf-8") if path.is_file() else ""
    return (
        f"The living platform of {home or 'another home'} works on {what}: stop that one, use its "
        "KEYCASH_HOME, or set another file here."
    )
