"""What must result, said a second time: plain Python that shares no code with the platform.

It reads each object by the rules of ``docs/data-contract.md`` with ``json`` and ``Decimal``, and
sums the requests that count with dictionaries.
"""

import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import zstandard

NESTING_READ_EXACTLY = 64
"""Deeper than this, an amount with a fraction or an exponent is a problem."""

_BLANKS = " \t\r\n"
_US_DATE = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}) ([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}))?"
)
_ISO_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{3}))?)?"
    r"(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
# A pair of surrogates first, so that what is left of them stands alone; other escapes are skipped.
_SURROGATES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<alone>\\u[dD][89a-fA-F])|\\."
)


@dataclass(frozen=True)
class Number:
    """A JSON number as the file spells it."""

    text: str


class Pairs(list[tuple[str, Any]]):
    """A JSON object with every member that it has."""


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_decoder = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


class _CannotBeReadError(Exception):
    """One JSON value, but too deep to be read, or with ``clientes`` twice."""


@dataclass
class Reading:
    """An object as read.

    Attributes:
        elements: Text of each element.
        bad: Number and bytes of what is not JSON: lines, or None and all of the object.
        envelope: Members beside ``clientes``, of each line that has such in an object of lines.
    """

    elements: list[str] = field(default_factory=list)
    bad: list[tuple[int | None, bytes]] = field(default_factory=list)
    envelope: Pairs | list[Pairs] | None = None

    @property
    def is_quarantined(self) -> bool:
        """Whether nothing in the object can be read."""
        return any(line is None for line, _ in self.bad)


@lru_cache(maxsize=10_000)
def read(data: bytes) -> Reading:
    """Read an object."""
    nothing = Reading(bad=[(None, data[:65536])])
    try:
        text = _decoded(data).decode("utf-8").removeprefix("\ufeff")
        elements, members = _value(text)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError, UnicodeDecodeError):
        return nothing
    except _CannotBeReadError:
        return nothing
    except ValueError:
        return _lines(text) or nothing
    return Reading(elements, envelope=members or None)


def value(text: str) -> Any:
    """A JSON text as strings, ``Number``, ``Pairs``, lists, booleans and None.

    Raises:
        ValueError: It is not one JSON value.
        _CannotBeReadError: It is nested too deeply.
    """
    text = text.strip(_BLANKS)
    try:
        found, end = _decoder.raw_decode(text)
    except RecursionError as error:
        if _is_closed(text):
            raise _CannotBeReadError from error
        raise ValueError("ends before or after the first value does") from error
    if end != len(text):
        raise ValueError("more than one value")
    if any(escape["alone"] for escape in _SURROGATES.finditer(text)):
        raise ValueError("half a surrogate pair")
    return found


def _decoded(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] != b"\x28\xb5\x2f\xfd":
        return data
    text = b""
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        text += frame.decompress(data)
        if not frame.eof:
            raise EOFError
        data = frame.unused_data
    return text


def _lines(text: str) -> Reading | None:
    reading = Reading()
    envelopes = []
    readable = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip(_BLANKS):
            continue
        try:
            elements, members = _value(line)
        except (ValueError, _CannotBeReadError):
            reading.bad.append((number, line.encode()[:65536]))
            continue
        readable += 1
        reading.elements += elements
        if members:
            envelopes.append(members)
    reading.envelope = envelopes or None
    return reading if readable else None


def _value(text: str) -> tuple[list[str], Pairs]:
    """The elements of a JSON value, and the members of its envelope."""
    whole = value(text)
    text = text.strip(_BLANKS)
    if type(whole) is list:
        return _of_array(text), Pairs()
    found = [v for name, v in whole if name == "clientes"] if isinstance(whole, Pairs) else []
    if not any(type(v) is list for v in found):
        return [text], Pairs()
    if len(found) > 1:
        raise _CannotBeReadError
    position = 1
    for name, _ in whole:
        _, position = _decoder.raw_decode(text, _after(text, position))
        position = _after(text, _after(text, position) + 1)
        _, end = _decoder.raw_decode(text, position)
        if name == "clientes":
            break
        position = _after(text, end) + 1
    return _of_array(text[position:end]), Pairs(p for p in whole if p[0] != "clientes")


def _of_array(text: str) -> list[str]:
    elements = []
    position = _after(text, 1)
    while text[position] != "]":
        _, end = _decoder.raw_decode(text, position)
        elements.append(text[position:end])
        position = _after(text, end)
        if text[position] == ",":
            position = _after(text, position + 1)
    return elements


def _after(text: str, position: int) -> int:
    while text[position] in _BLANKS:
        position += 1
    return position


def _is_closed(text: str) -> bool:
    """Whether the bracket that opens the text is closed by its last character."""
    brackets = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL)
    depth = 0
    for position, character in enumerate(brackets):
        depth += (character in "[{") - (character in "]}")
        if depth == 0:
            return position == len(brackets) - 1
    return False


@dataclass(frozen=True)
class Request:
    """A record as typed.

    Attributes:
        extra: The members that are none of the five fields.
        problems: The fields that have one.
        is_deep: Whether it is nested deeper than fractional amounts are read.
    """

    id: str | None = None
    name: str | None = None
    idade: int | None = None
    credito_solicitado: Decimal | None = None
    data_solicitacao: datetime | None = None
    extra: Pairs | None = None
    problems: frozenset[str] = frozenset()
    is_deep: bool = False


@lru_cache(maxsize=10_000)
def request(element: str) -> Request:
    """Type an element."""
    members = value(element)
    if not isinstance(members, Pairs):
        return Request(problems=frozenset({"not an object"}))
    names = [name for name, _ in members]
    date_field = "data_solicitacao" if "data_solicitacao" in names else "data_solicitada"
    known = ("id", "name", "idade", "credito_solicitado", date_field)
    fields = dict(reversed(members))
    is_deep = _depth(members) > NESTING_READ_EXACTLY + 1
    client, name, age = fields.get("id"), fields.get("name"), fields.get("idade")
    written = fields.get("credito_solicitado")
    is_fractional = isinstance(written, Number) and not re.fullmatch("-?[0-9]+", written.text)
    amount = None if is_deep and is_fractional else _amount(written)
    moment = _moment(fields.get(date_field))
    faults = {
        "id": type(client) is not str or client == "",
        "credito_solicitado": amount is None,
        date_field if date_field in names else "data_solicitacao": moment is None,
        "duplicate field": any(names.count(field) > 1 for field in known),
    }
    return Request(
        client if type(client) is str else None,
        name if type(name) is str else None,
        _integer(age),
        amount,
        moment,
        Pairs(pair for pair in members if pair[0] not in known) or None,
        frozenset(field for field, is_wrong in faults.items() if is_wrong),
        is_deep,
    )


def _depth(found: object) -> int:
    if isinstance(found, Pairs):
        return 1 + max((_depth(inner) for _, inner in found), default=0)
    return 1 + max(map(_depth, found), default=0) if isinstance(found, list) else 0


def _integer(found: object) -> int | None:
    if not isinstance(found, Number) or not re.fullmatch("-?[0-9]{1,19}", found.text):
        return None
    years = int(found.text)
    return years if -(2**63) <= years < 2**63 else None


def _amount(found: object) -> Decimal | None:
    is_plain = type(found) is str and re.fullmatch(r"[0-9]+(\.[0-9]+)?", found)
    if not isinstance(found, Number) and not is_plain:
        return None
    parts = _NUMBER.fullmatch(found.text if isinstance(found, Number) else str(found))
    assert parts is not None
    sign, whole, fraction, exponent_sign, exponent = (part or "" for part in parts.groups())
    significant = (whole + fraction).lstrip("0")
    if not significant:
        return Decimal(0)
    exponent = exponent.lstrip("0").rjust(1, "0")
    if sign or len(exponent) > 9:
        return None
    digits = significant.rstrip("0")
    power = int(exponent_sign + exponent) - len(fraction) + len(significant) - len(digits)
    if power < -2 or len(digits) + power > 16:
        return None
    return Decimal(int(digits) * 10 ** (power + 2)) / 100


def _moment(found: object) -> datetime | None:
    if type(found) is not str:
        return None
    us_date, iso_date = _US_DATE.fullmatch(found), _ISO_DATE.fullmatch(found)
    try:
        if us_date:
            month, day, year, hour, minute, second = (int(part or 0) for part in us_date.groups())
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  local time
        if iso_date:
            *numbers, fraction, offset = iso_date.groups()
            local = datetime(*(int(part or 0) for part in numbers))  # type: ignore[arg-type]  # noqa: DTZ001
            local += timedelta(milliseconds=int(fraction or 0))
            return _in_sao_paulo(local, offset) if offset else local
    except (ValueError, OverflowError):
        pass
    return None


def _in_sao_paulo(local: datetime, offset: str) -> datetime:
    """Convert a moment; of the last years of all by those 400 years earlier, which are alike.

    Raises:
        ValueError: There is no such offset, or no such year.
        OverflowError: The moment is before all years.
    """
    earlier = 400 if local.year > 9000 else 0
    local = local.replace(year=local.year - earlier)
    digits = "0000" if offset == "Z" else offset[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError(offset)
    away = timedelta(hours=hours, minutes=minutes) * (-1 if offset[0] == "-" else 1)
    zoned = (local - away).replace(tzinfo=timezone.utc).astimezone(ZoneInfo("America/Sao_Paulo"))
    return zoned.replace(year=zoned.year + earlier, tzinfo=None)


def winners(objects: Mapping[str, bytes]) -> dict[str, tuple[datetime, str, int, Decimal]]:
    """The request that counts for each client.

    Args:
        objects: The content of each current object by key.
    """
    latest: dict[str, tuple[datetime, str, int, Decimal]] = {}
    for key, content in objects.items():
        for index, element in enumerate(read(content).elements):
            found = request(element)
            if found.problems:
                continue
            assert found.id is not None
            assert found.data_solicitacao is not None
            assert found.credito_solicitado is not None
            candidate = (found.data_solicitacao, key, index, found.credito_solicitado)
            if found.id not in latest or candidate[:3] > latest[found.id][:3]:
                latest[found.id] = candidate
    return latest


def credit_per_day(objects: Mapping[str, bytes]) -> dict[date, tuple[Decimal, int]]:
    """Total and number of requests of each day.

    Args:
        objects: The content of each current object by key.
    """
    days: dict[date, tuple[Decimal, int]] = {}
    for moment, _, _, amount in winners(objects).values():
        total, requests = days.get(moment.date(), (Decimal(0), 0))
        days[moment.date()] = (total + amount, requests + 1)
    return days
