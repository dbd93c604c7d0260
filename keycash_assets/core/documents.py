"""Reading an object: from bytes to verbatim JSON elements, and what is not JSON.

The reading rules are those of the data contract (``docs/data-contract.md``). Elements keep the
exact bytes of the file (``msgspec.Raw``): numbers, escapes, key order and spacing untouched. What
the fields of an element mean is decided later, in ``sql/load/landing_table.sql``.

An object is read part by part, so that one of gigabytes takes no more memory than a part.
"""

import codecs
import gzip
import json
import mmap
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import SEEK_END, BytesIO
from typing import IO

import msgspec
import numpy as np

from keycash_assets.core.temporary_files import want_of_room_explained

ENVELOPE_FIELD = "clientes"
MAX_DECODED_BYTES = 4 * 1024**3
"""A compressed object that unpacks to more is quarantined: it is a bomb, or not for us."""

MAX_QUARANTINED_BYTES = 64 * 1024
"""How many of the offending bytes are kept in ``quarantine.raw``."""

MAX_MEMORY_BYTES = 64 * 1024**2
"""Content that is larger lies in a temporary file, of which memory holds what is being read."""

PART_BYTES = 1024**2
"""About how much text a part of an object holds, where elements may be as small as they can be."""

WHOLE_BYTES = 16 * 1024**2
"""An array of no more text, and of not too many elements, is a part: that is faster."""

MAX_RECORD_BYTES = 64 * 1024
"""A record that is larger is quarantined: its line, or else the whole object.

DuckDB goes through two thousand records at once: larger ones would not fit into its memory.
"""

MAX_LINE_BYTES = 16 * 1024**2
"""A line that is larger is quarantined; it may be a document of many records."""

MAX_ENVELOPE_BYTES = 4 * 1024**2
"""Fields beside ``clientes``: with more of them a document, or the line that it is, is quarantined.

All lines of an object together may have as much as one line.
"""

MAX_FRAMED_BYTES = 1024**3
"""A document with such fields is quarantined if it is larger: it has to be looked at as a whole."""

Content = bytes | mmap.mmap
"""Bytes of an object, in memory or in a file mapped into it."""

_Text = bytes | memoryview

_JSON_WHITE_SPACE = b" \t\r\n"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHER_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# Bytes of a zstd frame to unpack at once: they give 128 MiB at the most.
_ZSTD_BYTES = 4 * 1024
# Elements of a document that are kept from when it is checked until they are handed on: each takes
# 80 bytes beside its text. Of more, and of larger ones, the text is gone through twice.
_KEPT_ELEMENTS = 1_000_000

# The usual document, which needs no second look at its fields.
_ONLY_RECORDS = re.compile(rb'\{[ \t\r\n]*"clientes"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_END_OF_ONLY_RECORDS = re.compile(rb"\][ \t\r\n]*\}\Z")
_FRAME_BYTES = 256

# Where an array can be cut, as a rule: between two objects. How far from the end of a stretch of it
# such a place is looked for, and how many are tried, as they may stand within one of its elements.
_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r\n]*,(?=[ \t\r\n]*\{)")
_TAIL_BYTES = 64 * 1024
_TRIES = 8
# No version of Python follows JSON that deep.
_DEEPEST = 100_000

_CAN_GIVE_BACK = hasattr(mmap, "MADV_DONTNEED")
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'
_WHOLE_STRING = re.compile(_STRING, re.DOTALL)
_STRING_BRACKET_OR_COMMA = re.compile(_STRING + rb"|[\[\]{},]", re.DOTALL)
_POSITION = re.compile(r"(?<=\(byte )\d+(?=\))")
_ENDS_TOO_EARLY = "it ends too early"
_TOO_LARGE = "a record of more than {:,} bytes"
_STANDS_TWICE = f"the field {ENVELOPE_FIELD!r} stands twice"

_decode_value = msgspec.json.Decoder(msgspec.Raw).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Framed(msgspec.Struct):
    """An object of which only the records are of interest, however many fields it has."""

    clientes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_framed = msgspec.json.Decoder(_Framed).decode


@dataclass(frozen=True)
class NotJson:
    """Bytes that are not JSON: a line of an object, or all of it.

    Attributes:
        line: Number of the line from 1; None for the whole object.
        raw: The offending bytes, at most ``MAX_QUARANTINED_BYTES`` of them.
        reason: Why they cannot be read, for a person.
    """

    line: int | None
    raw: bytes
    reason: str


@dataclass(frozen=True)
class Part:
    """What a stretch of an object holds.

    Attributes:
        elements: The JSON elements in the order of the file, verbatim.
        not_json: What could not be read. An entry without a line means that nothing could.
        envelopes: JSON texts of the fields beside each ``clientes``.
        is_of_lines: Whether the object is newline-delimited.
    """

    elements: list[msgspec.Raw] = field(default_factory=list)
    not_json: list[NotJson] = field(default_factory=list)
    envelopes: list[str] = field(default_factory=list)
    is_of_lines: bool = False


class _NotJsonError(Exception):
    """The bytes are not what the reading rules call JSON; the message says why."""


class _RefusedError(_NotJsonError):
    """The bytes may be one JSON value, but not one that can be read, or not without loss."""


@dataclass(frozen=True)
class _Value:
    """What one JSON value holds.

    Attributes:
        parts: Its elements, in lists of about ``PART_BYTES``; one list at least. To go over once.
        envelope: JSON text of the fields beside ``clientes``.
    """

    parts: Iterable[list[msgspec.Raw]]
    envelope: str | None = None


def read_parts(data: Content) -> Iterator[Part]:
    """Read one object, part by part. Never raises for what the bytes may be: that is a result.

    Args:
        data: The object's bytes as stored: plain, gzip or zstd.
    """
    try:
        text = _decode(data)
    except _NotJsonError as error:
        yield _nothing_readable(data, str(error))
        return
    if not _stripped(text):
        yield _nothing_readable(data, "empty object" if not data else "nothing but blanks")
        return
    try:
        value = _read_value(text)
    except _RefusedError as error:
        yield _nothing_readable(data, str(error))
    except _NotJsonError as error:
        if _has_readable_line(text):
            yield from _read_lines(text)
        else:
            yield _nothing_readable(data, str(error))
    else:
        envelopes = [] if value.envelope is None else [value.envelope]
        for elements in value.parts:
            yield Part(elements, envelopes=envelopes)
            envelopes = []


def mapped(file: IO[bytes]) -> Content:
    """The content of a file, mapped into memory; the file may be closed and removed after it."""
    file.flush()
    if file.seek(0, SEEK_END) == 0:
        return b""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _nothing_readable(data: Content, reason: str) -> Part:
    return Part(not_json=[NotJson(None, bytes(data[:MAX_QUARANTINED_BYTES]), reason)])


def _decode(data: Content) -> _Text:
    """Unpack and check the encoding.

    Raises:
        _NotJsonError: The bytes do not unpack, or are not UTF-8.
    """
    start = data[:4]
    if start.startswith(_GZIP_MAGIC):
        data = _unpacked(_gunzipped(data), "gzip")
    elif start.startswith(_ZSTD_MAGIC):
        data = _unpacked(_unzstd(data), "zstd")
    for mark, encoding in _OTHER_BYTE_ORDER_MARKS.items():
        if data[:4].startswith(mark):
            raise _NotJsonError(f"not UTF-8: the byte-order mark is that of {encoding}")
    has_mark = data[:3] == _BYTE_ORDER_MARK
    text: _Text = data if isinstance(data, bytes) else memoryview(data)
    text = text[3:] if has_mark else text
    _check_encoding(text)
    return text


def _check_encoding(text: _Text) -> None:
    if isinstance(text, bytes) and text.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(text), PART_BYTES):
        part = _copied(text, start, start + PART_BYTES)
        is_last = start + PART_BYTES >= len(text)
        pending = len(decoder.getstate()[0])
        if part.isascii() and not pending:
            continue
        try:
            decoder.decode(part, is_last)
        except UnicodeDecodeError as error:
            position = start - pending + error.start
            raise _NotJsonError(f"not UTF-8: {error.reason} at byte {position}") from error


def _copied(text: _Text, start: int, end: int) -> bytes:
    """A part of the text; all of it leaves the resident memory where it is a mapped file."""
    part = bytes(text[start:end])
    _give_back(text)
    return part


def _give_back(text: _Text) -> None:
    if isinstance(text, memoryview) and isinstance(text.obj, mmap.mmap) and _CAN_GIVE_BACK:
        text.obj.madvise(mmap.MADV_DONTNEED)


def _unpacked(parts: Iterator[bytes], encoding: str) -> Content:
    """What comes out of a compressed object.

    Raises:
        _NotJsonError: It is damaged, or is larger than the limit.
        TemporaryFileError: There is no room for it.
    """
    with (
        want_of_room_explained(),
        tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES, prefix="keycash-") as file,
    ):
        size = 0
        try:
            for part in parts:
                size += len(part)
                if size > MAX_DECODED_BYTES:
                    raise _NotJsonError(f"unpacks to more than {MAX_DECODED_BYTES:,} bytes")
                file.write(part)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _NotJsonError(f"truncated or damaged {encoding}: {error}") from error
        if size <= MAX_MEMORY_BYTES:
            file.seek(0)
            return file.read()
        return mapped(file)


def _gunzipped(data: Content) -> Iterator[bytes]:
    stream = gzip.GzipFile(fileobj=BytesIO(data) if isinstance(data, bytes) else _rewound(data))
    while part := stream.read(PART_BYTES):
        yield part


def _rewound(data: mmap.mmap) -> mmap.mmap:
    data.seek(0)
    return data


def _unzstd(data: Content) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415  few objects are zstd, and it shortens start-up

    # A stream reader returns what it has of a truncated frame without an error: go frame by frame.
    frame = zstandard.ZstdDecompressor().decompressobj()
    position = 0
    while position < len(data):
        if frame.eof:
            frame = zstandard.ZstdDecompressor().decompressobj()
        piece = data[position : position + _ZSTD_BYTES]
        try:
            yield frame.decompress(piece)
        except zstandard.ZstdError as error:
            raise _NotJsonError(f"damaged zstd: {error}") from error
        position += len(piece) - len(frame.unused_data)
    if not frame.eof:
        raise _NotJsonError("truncated zstd: the last frame has no end")


def _stripped(text: _Text) -> _Text:
    """The text without JSON's white space around it."""
    if isinstance(text, bytes):
        return text.strip(_JSON_WHITE_SPACE)
    start, end = 0, len(text)
    while start < end and text[start] in _JSON_WHITE_SPACE:
        block = _copied(text, start, start + PART_BYTES)
        start += len(block) - len(block.lstrip(_JSON_WHITE_SPACE))
    while start < end and text[end - 1] in _JSON_WHITE_SPACE:
        block = _copied(text, max(start, end - PART_BYTES), end)
        end -= len(block) - len(block.rstrip(_JSON_WHITE_SPACE))
    return text[start:end]


def _read_value(text: _Text) -> _Value:
    """The elements and the envelope of one JSON value.

    Raises:
        _NotJsonError: The text is not one JSON value.
        _RefusedError: It may be one, but cannot be read, or not without loss.
    """
    text = _stripped(text)
    try:
        if text[:1] == b"[":
            return _Value(_checked_parts(text))
        if text[:1] == b"{":
            if (array := _only_records(text)) is not None:
                with suppress(msgspec.DecodeError):
                    return _Value(_checked_parts(array))
            records = _records(text)
            if records is not None:
                if bytes(records[:1]) == b"[":
                    return _Value(_checked_parts(records), _envelope(text, records))
                _refuse_large_record(text)
                _refuse_hidden_records(text)
        else:
            _decode_value(text)
    except RecursionError as error:
        if not _is_closed(text):
            raise _NotJsonError("not JSON: nested too deeply, and not one value") from error
        raise _RefusedError("nested too deeply to be read") from error
    except msgspec.DecodeError as error:
        raise _NotJsonError(f"not JSON: {_without_prefix(error)}") from error
    _refuse_large_record(text)
    return _Value([[msgspec.Raw(text)]])


def _refuse_large_record(text: _Text) -> None:
    if len(text) > MAX_RECORD_BYTES:
        raise _RefusedError(_TOO_LARGE.format(MAX_RECORD_BYTES))


def _checked_parts(array: _Text) -> Iterable[list[msgspec.Raw]]:
    """The elements of an array, once it is known that it is one.

    Raises:
        msgspec.DecodeError: It is none.
        RecursionError: It is nested too deeply.
        _RefusedError: One of its elements is too large.
    """
    if len(array) <= PART_BYTES or (
        len(array) <= WHOLE_BYTES and _count_commas(array) < _KEPT_ELEMENTS
    ):
        elements = _decode_array(array)
        _refuse_large_elements(elements, len(array))
        return [elements]
    kept: list[list[msgspec.Raw]] = []
    count = 0
    for part in _parts(array):
        count += len(part)
        if len(array) > MAX_MEMORY_BYTES or count > _KEPT_ELEMENTS:
            kept.clear()
        else:
            kept.append(part)
    return kept or _parts(array)


def _parts(array: _Text) -> Iterator[list[msgspec.Raw]]:
    """The elements of an array, in lists of about ``PART_BYTES``.

    A place to cut is guessed: what stands before it is an array of its own, once it is closed, if
    and only if the guess is right.

    Raises:
        msgspec.DecodeError: It is no array.
        RecursionError: It is nested too deeply.
        _RefusedError: One of its elements is too large.
    """
    start = 1
    while len(array) - start > PART_BYTES:
        elements, length = _cut(array, start) or _cut_by_brackets(array, start)
        yield elements
        start += length
        if start > len(array):
            return
    rest = _copied(array, start, len(array))
    yield _elements(rest, start, may_be_empty=start == 1)


def _cut(array: _Text, start: int) -> tuple[list[msgspec.Raw], int] | None:
    """Elements, and the length of their text with the comma behind; None if no guess is right."""
    window = _copied(array, start, start + PART_BYTES)
    places = list(_BETWEEN_OBJECTS.finditer(window, max(0, len(window) - _TAIL_BYTES)))
    for place in places[: -_TRIES - 1 : -1]:
        with suppress(msgspec.DecodeError, RecursionError):
            return _elements(window[: place.end() - 1] + b"]", start), place.end()
    return None


def _cut_by_brackets(array: _Text, start: int) -> tuple[list[msgspec.Raw], int]:
    """Elements, and the length of their text with what stands behind it: a comma, or the end."""
    length = PART_BYTES
    while True:
        window = _copied(array, start, start + length)
        if start + len(window) >= len(array):
            return _elements(window, start, may_be_empty=start == 1), len(window) + 1
        if comma := _last_comma(window, start):
            return _elements(window[: comma - 1] + b"]", start), comma
        if length > MAX_RECORD_BYTES:
            raise _RefusedError(_TOO_LARGE.format(MAX_RECORD_BYTES))
        length = min(2 * length, MAX_RECORD_BYTES + PART_BYTES)


def _last_comma(window: bytes, start: int) -> int:
    """Behind the last comma between two elements; 0 for none.

    Raises:
        msgspec.DecodeError: The array ends within the window.
        RecursionError: It is nested too deeply.
    """
    depth = last = 0
    for found in _STRING_BRACKET_OR_COMMA.finditer(window):
        token = found[0]
        if token == b",":
            last = last if depth else found.end()
        else:
            depth += (token in b"[{") - (token in b"]}")
            if depth > _DEEPEST:
                raise RecursionError
            if depth < 0:
                position = start + found.end()
                raise msgspec.DecodeError(f"trailing characters (byte {position})")
    return last


def _elements(closed: bytes, start: int, *, may_be_empty: bool = False) -> list[msgspec.Raw]:
    """The elements of a stretch of an array that begins there, with a bracket behind them.

    Raises:
        msgspec.DecodeError: They are none; positions are those of the array.
        _RefusedError: One of them is too large.
    """
    try:
        elements = _decode_array(b"[" + closed)
    except msgspec.DecodeError as error:
        shifted = _POSITION.sub(lambda found: str(int(found[0]) + start - 1), str(error))
        raise msgspec.DecodeError(shifted) from error
    if not elements and not may_be_empty:
        raise msgspec.DecodeError(f"no value between commas (byte {start})")
    _refuse_large_elements(elements, len(closed))
    return elements


def _refuse_large_elements(elements: list[msgspec.Raw], text_bytes: int) -> None:
    if text_bytes > MAX_RECORD_BYTES and max(map(len, elements), default=0) > MAX_RECORD_BYTES:
        raise _RefusedError(_TOO_LARGE.format(MAX_RECORD_BYTES))


def _count_commas(text: _Text) -> int:
    """Commas between elements, and within them: there are at most as many elements, and one."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord(",")))


def _only_records(text: _Text) -> _Text | None:
    """The array, where an object looks as if it had no field but ``clientes``."""
    start = _ONLY_RECORDS.match(bytes(text[:_FRAME_BYTES]))
    end = _END_OF_ONLY_RECORDS.search(bytes(text[-_FRAME_BYTES:]))
    if start is None or end is None:
        return None
    return text[start.end() : len(text) - len(end[0]) + 1]


def _records(text: _Text) -> memoryview | None:
    """The field ``clientes`` of an object: the last one, as JSON is usually read.

    Raises:
        msgspec.DecodeError: The text is no object.
        RecursionError: It is nested too deeply.
        _RefusedError: It is too large to be looked at as a whole.
    """
    try:
        framed = _decode_framed(text[:MAX_FRAMED_BYTES])
    except msgspec.DecodeError as error:
        if len(text) > MAX_FRAMED_BYTES and _without_prefix(error) == _ENDS_TOO_EARLY:
            raise _RefusedError(
                f"more than {MAX_FRAMED_BYTES:,} bytes: cut short, or with more than "
                f"{ENVELOPE_FIELD!r} in it"
            ) from error
        raise
    finally:
        _give_back(text)
    if framed.clientes is msgspec.UNSET:
        return None
    start = _address(framed.clientes) - _address(text)
    return memoryview(text)[start : start + len(framed.clientes)]  # no copy: its address counts


def _refuse_hidden_records(text: _Text) -> None:
    """Look for an array of records before the last ``clientes``, which is none.

    Raises:
        _RefusedError: There is one: its records would be lost without a word.
    """
    if any(name == ENVELOPE_FIELD and type(value) is list for name, value in _members(text)):
        raise _RefusedError(_STANDS_TWICE)


def _members(text: _Text) -> tuple[tuple[str, object], ...]:
    """The members of a valid JSON object, with those that stand twice; objects are tuples."""
    # Python refuses to make a number of thousands of digits: none is needed.
    members: tuple[tuple[str, object], ...] = json.loads(
        bytes(text), object_pairs_hook=tuple, parse_int=str, parse_float=str
    )
    return members


def _is_closed(text: _Text) -> bool:
    """Whether the bracket that opens a text is closed by its last byte, however deep it goes.

    Of a text that is larger than a line may be, it is taken to be.
    """
    marks = np.frombuffer(_WHOLE_STRING.sub(b'""', text[:MAX_LINE_BYTES]), np.uint8)
    opening = np.isin(marks, np.frombuffer(b"[{", np.uint8))
    closing = np.isin(marks, np.frombuffer(b"]}", np.uint8))
    depth = np.cumsum(opening, dtype=np.int32) - np.cumsum(closing, dtype=np.int32)
    ends = np.flatnonzero(depth == 0)
    if len(ends) == 0:
        return len(text) > MAX_LINE_BYTES
    return len(text) <= MAX_LINE_BYTES and int(ends[0]) == len(marks) - 1


def _without_prefix(error: msgspec.DecodeError) -> str:
    reason = str(error).removeprefix("JSON is malformed: ")
    return {"Input data was truncated": _ENDS_TOO_EARLY}.get(reason, reason)


def _envelope(text: _Text, records: memoryview) -> str | None:
    """The fields beside ``clientes`` as JSON text.

    Raises:
        _RefusedError: They are too large; or ``clientes`` stands twice, and one of the two would be
            lost without a word.
    """
    if len(text) - len(records) > MAX_ENVELOPE_BYTES:
        raise _RefusedError(
            f"fields beside {ENVELOPE_FIELD!r} of more than {MAX_ENVELOPE_BYTES:,} bytes"
        )
    start = _address(records) - _address(text)
    frame = b"".join((text[:start], b"[]", text[start + len(records) :]))
    names = [name for name, _ in _members(frame)]
    if names.count(ENVELOPE_FIELD) > 1:
        raise _RefusedError(_STANDS_TWICE)
    if len(names) == 1:
        return None
    fields = _decode_object(frame)
    if len(names) > len(fields):
        return frame.decode()  # another field stands twice: keep both, as the file has them
    others = {name: value for name, value in fields.items() if name != ENVELOPE_FIELD}
    return msgspec.json.encode(others).decode()


def _address(part: msgspec.Raw | _Text) -> int:
    """Where the bytes stand in memory: a ``Raw`` is a view into the text that it is a part of."""
    return int(np.frombuffer(part, np.uint8).ctypes.data)


def _blocks_of_lines(text: _Text) -> Iterator[list[bytes]]:
    """The lines, without their ends, in lists of about ``PART_BYTES``.

    One that is larger than a line may be is cut off somewhere behind that size.
    """
    begun = b""
    for start in range(0, len(text), PART_BYTES):
        block = _copied(text, start, start + PART_BYTES)
        end = block.rfind(b"\n") + 1
        if end:
            yield (begun + block[: end - 1]).split(b"\n")
            begun = block[end:]
        elif len(begun) <= MAX_LINE_BYTES:
            begun += block
    if begun:
        yield begun.split(b"\n")


def _read_line(line: bytes) -> _Value:
    """Read a line as a value.

    Raises:
        _NotJsonError: It is none, or too large.
    """
    if len(line) > MAX_LINE_BYTES:
        raise _RefusedError(f"a line of more than {MAX_LINE_BYTES:,} bytes")
    return _read_value(line)


def _has_readable_line(text: _Text) -> bool:
    for lines in _blocks_of_lines(text):
        for line in lines:
            with suppress(_NotJsonError):
                if line.strip(_JSON_WHITE_SPACE):
                    _read_line(line)
                    return True
    return False


def _read_lines(text: _Text) -> Iterator[Part]:
    """Read newline-delimited JSON: a line that is not JSON is set aside, the others count."""
    first = 1
    envelope_room = MAX_LINE_BYTES
    for lines in _blocks_of_lines(text):
        plain = _plain_lines(lines)
        for part in _any_lines(lines, first, envelope_room) if plain is None else [plain]:
            envelope_room -= sum(map(len, part.envelopes))
            yield part
        first += len(lines)


def _plain_lines(lines: list[bytes]) -> Part | None:
    """Lines of which each is a record; None where one is anything else."""
    block = b"\n".join(lines)
    # The field may be spelled with escapes.
    if max(map(len, lines)) > MAX_RECORD_BYTES or b"clientes" in block or b"\\u" in block:
        return None
    try:
        elements = [_decode_value(line) for line in lines if line]
    except (msgspec.DecodeError, RecursionError):
        return None
    if any(bytes(memoryview(element)[:1]) == b"[" for element in elements):
        return None
    return Part(elements, is_of_lines=True)


def _any_lines(lines: list[bytes], first: int, envelope_room: int) -> Iterator[Part]:
    part = Part(is_of_lines=True)
    for number, line in enumerate(lines, start=first):
        if not line.strip(_JSON_WHITE_SPACE):
            continue
        try:
            value = _read_line(line)
            envelope_room -= len(value.envelope or "")
            if envelope_room < 0 and value.envelope is not None:
                raise _RefusedError(
                    f"with this line the fields beside {ENVELOPE_FIELD!r} have more than "
                    f"{MAX_LINE_BYTES:,} bytes"
                )
        except _NotJsonError as error:
            part.not_json.append(NotJson(number, line[:MAX_QUARANTINED_BYTES], str(error)))
            continue
        if value.envelope is not None:
            part.envelopes.append(value.envelope)
        for elements in value.parts:
            part.elements.extend(elements)
            if len(part.elements) > _KEPT_ELEMENTS:
                yield part
                part = Part(is_of_lines=True)
    yield part
