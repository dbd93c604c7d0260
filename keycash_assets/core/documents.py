"""Reading an object: from bytes to verbatim JSON elements, and what is not JSON.

The reading rules are those of the data contract (``docs/data-contract.md``). Elements keep the
exact bytes of the file (``msgspec.Raw``): numbers, escapes, key order and spacing untouched. What
the fields of an element mean is decided later, in ``sql/load/landing_table.sql``.
"""

import gzip
import io
import json
import zlib
from dataclasses import dataclass, field

import msgspec
import numpy as np

ENVELOPE_FIELD = "clientes"
MAX_DECODED_BYTES = 4 * 1024**3
"""A compressed object that unpacks to more is quarantined: it is a bomb, or not for us."""

MAX_QUARANTINED_BYTES = 64 * 1024
"""How many of the offending bytes are kept in ``quarantine.raw``."""

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

_decode_value = msgspec.json.Decoder(msgspec.Raw).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


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
class Document:
    """What an object holds.

    Attributes:
        elements: The JSON elements in the order of the file, verbatim.
        not_json: What could not be read. One entry without a line means that nothing could.
        envelope: JSON text of the fields beside ``clientes``; None if there are none. An array of
            them when the object is newline-delimited.
    """

    elements: list[msgspec.Raw] = field(default_factory=list)
    not_json: list[NotJson] = field(default_factory=list)
    envelope: str | None = None

    @property
    def is_quarantined(self) -> bool:
        """Whether nothing in the object could be read."""
        return any(part.line is None for part in self.not_json)


class _NotJsonError(Exception):
    """The bytes are not what the reading rules call JSON; the message says why."""


class _RefusedError(_NotJsonError):
    """The bytes may be one JSON value, but not one that can be read without loss."""


def read_document(data: bytes) -> Document:
    """Read one object. Never raises for what the bytes may be: that is a result.

    Args:
        data: The object's bytes as stored: plain, gzip or zstd.
    """
    try:
        text = _decode(data)
    except _NotJsonError as error:
        return _nothing_readable(data, str(error))
    if not text.strip(_JSON_WHITE_SPACE):
        return _nothing_readable(data, "empty object" if not data else "nothing but blanks")
    try:
        elements, envelope = _read_value(text)
    except _RefusedError as error:
        return _nothing_readable(data, str(error))
    except _NotJsonError as error:
        return _read_lines(text, str(error))
    return Document(elements, [], envelope)


def _nothing_readable(data: bytes, reason: str) -> Document:
    return Document(not_json=[NotJson(None, data[:MAX_QUARANTINED_BYTES], reason)])


def _decode(data: bytes) -> bytes:
    """Unpack and check the encoding.

    Raises:
        _NotJsonError: The bytes do not unpack, or are not UTF-8.
    """
    if data.startswith(_GZIP_MAGIC):
        data = _unpack(gzip.GzipFile(fileobj=io.BytesIO(data)), "gzip")
    elif data.startswith(_ZSTD_MAGIC):
        data = _unpack_zstd(data)
    for mark, encoding in _OTHER_BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            raise _NotJsonError(f"not UTF-8: the byte-order mark is that of {encoding}")
    text = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _NotJsonError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    return text


def _unpack(stream: gzip.GzipFile, encoding: str) -> bytes:
    try:
        unpacked = stream.read(MAX_DECODED_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _NotJsonError(f"truncated or damaged {encoding}: {error}") from error
    return _within_limit(unpacked)


def _unpack_zstd(data: bytes) -> bytes:
    import zstandard  # noqa: PLC0415  few objects are zstd, and it shortens start-up

    parts: list[bytes] = []
    size = 0
    rest = data
    # A stream reader returns what it has of a truncated frame without an error: go frame by frame.
    while rest:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(frame.decompress(rest))
        except zstandard.ZstdError as error:
            raise _NotJsonError(f"damaged zstd: {error}") from error
        if not frame.eof:
            raise _NotJsonError("truncated zstd: the last frame has no end")
        size += len(parts[-1])
        if size > MAX_DECODED_BYTES:
            break
        rest = frame.unused_data
    return _within_limit(b"".join(parts))


def _within_limit(unpacked: bytes) -> bytes:
    if len(unpacked) > MAX_DECODED_BYTES:
        raise _NotJsonError(f"unpacks to more than {MAX_DECODED_BYTES:,} bytes")
    return unpacked


def _read_value(text: bytes) -> tuple[list[msgspec.Raw], str | None]:
    """The elements and the envelope of one JSON value.

    Raises:
        _NotJsonError: The text is not one JSON value.
        _RefusedError: It may be one, but cannot be read without loss.
    """
    text = text.strip(_JSON_WHITE_SPACE)
    try:
        if text.startswith(b"["):
            return _decode_array(text), None
        if text.startswith(b"{"):
            fields = _decode_object(text)
            records = fields.get(ENVELOPE_FIELD)
            if records is not None and bytes(memoryview(records)[:1]) == b"[":
                return _decode_array(records), _envelope(text, fields, records)
        else:
            _decode_value(text)
    except RecursionError as error:
        raise _RefusedError("nested too deeply to be read") from error
    except msgspec.DecodeError as error:
        raise _NotJsonError(f"not JSON: {_without_prefix(error)}") from error
    return [msgspec.Raw(text)], None


def _without_prefix(error: msgspec.DecodeError) -> str:
    reason = str(error).removeprefix("JSON is malformed: ")
    return {"Input data was truncated": "it ends too early"}.get(reason, reason)


def _envelope(text: bytes, fields: dict[str, msgspec.Raw], records: msgspec.Raw) -> str | None:
    """The fields beside ``clientes`` as JSON text.

    Raises:
        _RefusedError: ``clientes`` stands twice: one of the two would be lost without a word.
    """
    start = _address(records) - _address(text)
    frame = text[:start] + b"[]" + text[start + len(records) :]
    names = json.loads(frame, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    if names.count(ENVELOPE_FIELD) > 1:
        raise _RefusedError(f"the field {ENVELOPE_FIELD!r} stands twice")
    if len(names) == 1:
        return None
    if len(names) > len(fields):
        return frame.decode()  # another field stands twice: keep both, as the file has them
    others = {name: value for name, value in fields.items() if name != ENVELOPE_FIELD}
    return msgspec.json.encode(others).decode()


def _address(part: msgspec.Raw | bytes) -> int:
    """Where the bytes stand in memory: a ``Raw`` is a view into the text it was decoded from."""
    return int(np.frombuffer(part, np.uint8).ctypes.data)


def _read_lines(text: bytes, reason_as_whole: str) -> Document:
    """Read newline-delimited JSON: a line that is not JSON is set aside, the others count."""
    elements: list[msgspec.Raw] = []
    not_json: list[NotJson] = []
    envelopes: list[str] = []
    lines_read = 0
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not line.strip(_JSON_WHITE_SPACE):
            continue
        try:
            of_line, envelope = _read_value(line)
        except _NotJsonError as error:
            not_json.append(NotJson(number, line[:MAX_QUARANTINED_BYTES], str(error)))
            continue
        lines_read += 1
        elements.extend(of_line)
        if envelope is not None:
            envelopes.append(envelope)
    if lines_read == 0:
        return _nothing_readable(text, reason_as_whole)
    return Document(elements, not_json, f"[{', '.join(envelopes)}]" if envelopes else None)
