"""Copying a DuckDB file onto an older copy of itself, at the cost of what has changed."""

from typing import BinaryIO

HEADER_BYTES = 3 * 4096
"""The three headers of a DuckDB file, which stand before its first block."""

CHECKSUM_BYTES = 8
"""Each block begins with the checksum of the rest of it, which DuckDB writes and verifies.

Source: https://duckdb.org/docs/stable/internals/storage
"""


def copy_blocks(source: BinaryIO, target: BinaryIO, block_bytes: int) -> int:
    """Make the target what the source is, writing only the blocks whose checksums differ.

    Args:
        source: A DuckDB file without a write-ahead log, which nobody writes to meanwhile.
        target: An older copy of it, or an empty file; open to read and to write.
        block_bytes: Size of a block of the source.

    Returns:
        How many bytes were written.
    """
    written = 0
    size = source.seek(0, 2)
    target.truncate(size)
    position, length = 0, HEADER_BYTES
    while position < size:
        if position < HEADER_BYTES or _differ(source, target, position):
            source.seek(position)
            target.seek(position)
            written += target.write(source.read(length))
        position, length = position + length, block_bytes
    return written


def _differ(source: BinaryIO, target: BinaryIO, position: int) -> bool:
    source.seek(position)
    target.seek(position)
    return source.read(CHECKSUM_BYTES) != target.read(CHECKSUM_BYTES)
