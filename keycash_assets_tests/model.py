"""What must result, said a second time: plain Python that shares no code with the platform.

It reads each object by the rules of ``docs/data-contract.md`` with ``json`` and ``Decimal``, and
sums the requests that count with dictionaries.
"""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

FIELDS = ("id", "name", "idade", "credito_solicitado")
_BLANKS = " \t\r\n"
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_ISO_DATE = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{3}))?)?(Z|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)


class Number(str):
    """A JSON number as the file spells it."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """A JSON object with every member that it has."""


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_decoder = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


@dataclass
class Reading:
    """An object as read: its elements verbatim, its unreadable lines, or nothing at all."""

    elements: list[str] = field(default_factory=list)
    bad_lines: list[int] = field(default_factory=list)
    is_quarantined: bool = False


def read(data: bytes) -> Reading:
    """Read an object."""
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-8").removeprefix("\ufeff")
    except (OSError, EOFError, UnicodeDecodeError):
        return Reading(is_quarantined=True)
    try:
        return Reading(_elements(text))
    except ValueError:
        pass
    reading = Reading()
    readable = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip(_BLANKS):
            continue
        try:
            reading.elements += _elements(line)
            readable += 1
        except ValueError:
            reading.bad_lines.append(number)
    return reading if readable else Reading(is_quarantined=True)


def _elements(text: str) -> list[str]:
    text = text.strip(_BLANKS)
    value, end = _decoder.raw_decode(text)
    if end != len(text):
        raise ValueError("more than one value")
    if text[0] == "[":
        return _of_array(text)
    if isinstance(value, Pairs):
        position = 1
        for name, _ in value:
            position = _after(text, position)
            _, position = _decoder.raw_decode(text, position)
            position = _after(text, _after(text, position) + 1)
            _, value_end = _decoder.raw_decode(text, position)
            if name == "clientes" and text[position] == "[":
                return _of_array(text[position:value_end])
            position = _after(text, value_end) + 1
    return [text]


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


@dataclass(frozen=True)
class Request:
    """A record as typed; whether it counts is ``is_valid``."""

    id: str | None
    name: str | None
    idade: int | None
    credito_solicitado: Decimal | None
    data_solicitacao: datetime | None
    is_valid: bool


def request(element: str) -> Request:
    """Type an element."""
    value, _ = _decoder.raw_decode(element)
    if not isinstance(value, Pairs):
        return Request(None, None, None, None, None, is_valid=False)
    names = [name for name, _ in value]
    date_field = "data_solicitacao" if "data_solicitacao" in names else "data_solicitada"
    fields = dict(reversed(value))
    client = fields.get("id")
    amount = _amount(fields.get("credito_solicitado"))
    moment = _moment(fields.get(date_field))
    name, age = fields.get("name"), fields.get("idade")
    has_client = type(client) is str and client != ""
    is_single = all(names.count(known) < 2 for known in (*FIELDS, date_field))
    years = int(age) if isinstance(age, Number) and re.fullmatch("-?[0-9]+", age) else None
    return Request(
        client if type(client) is str else None,
        name if type(name) is str else None,
        years if years is not None and -(2**63) <= years < 2**63 else None,
        amount,
        moment,
        is_valid=has_client and is_single and amount is not None and moment is not None,
    )


def _amount(value: object) -> Decimal | None:
    if isinstance(value, Number):
        text = str(value)
    elif type(value) is str and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        text = value
    else:
        return None
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).lstrip("0")
    if not written:
        return Decimal(0)
    significant = written.rstrip("0")
    exponent += len(written) - len(significant)
    if sign or exponent < -2 or len(significant) + exponent > 16:
        return None
    return Decimal(int(significant) * 10 ** (exponent + 2)) / 100


def _moment(value: object) -> datetime | None:
    if type(value) is not str:
        return None
    try:
        if found := _US_DATE.fullmatch(value):
            month, day, year, hour, minute, second = (int(part or 0) for part in found.groups())
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  local time
        if found := _ISO_DATE.fullmatch(value):
            *parts, fraction, offset = found.groups()
            local = datetime(*(int(part or 0) for part in parts))  # type: ignore[arg-type]  # noqa: DTZ001
            local += timedelta(microseconds=int((fraction or "0").ljust(6, "0")))
            if not offset:
                return local
            away = timedelta(0)
            if offset != "Z":
                away = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
                away = -away if offset[0] == "-" else away
            zoned = (local - away).replace(tzinfo=timezone.utc)
            return zoned.astimezone(ZoneInfo("America/Sao_Paulo")).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
    return None


def winners(objects: Mapping[str, bytes]) -> dict[str, tuple[datetime, str, int, Decimal]]:
    """The request that counts for each client.

    Args:
        objects: The content of each current object by key.
    """
    latest: dict[str, tuple[datetime, str, int, Decimal]] = {}
    for key, content in objects.items():
        for index, element in enumerate(read(content).elements):
            found = request(element)
            if not found.is_valid:
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
