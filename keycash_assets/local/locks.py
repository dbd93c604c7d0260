"""Locks that say who runs what; the system frees them when their process ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keycash_assets.errors import ServerError


@contextmanager
def held_lock(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock of a file.

    Args:
        path: The file; its folder exists.
        refusal: What to tell a person while another process holds it.

    Raises:
        ServerError: Another process holds it.
    """
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ServerError(refusal) from error
        yield


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of this file now."""
    try:
        with path.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
