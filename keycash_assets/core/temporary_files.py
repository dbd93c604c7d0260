"""Temporary files: where what is too large for memory lies while it is read."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from keycash_assets.errors import TemporaryFileError

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system answers when there is no room for what is written."""


@contextmanager
def want_of_room_explained() -> Iterator[None]:
    """Say which folder is full when a temporary file finds no room.

    Raises:
        TemporaryFileError: It found none.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise TemporaryFileError(
            f"There is no room for temporary files in {tempfile.gettempdir()}: {error}. Large "
            "objects lie there while they are read. Nothing of this is kept, and readers still see "
            "what was published last. Make room there, or set TMPDIR to a folder on a larger disk."
        ) from error
