"""Which keys an event notification tells of. An event is a hint to look there, and never a fact.

Events come at least once, late, in any order, and for objects that have vanished meanwhile. So
nothing in a message counts but the keys: what happened to an object is not read from the event but
seen when the bucket is asked for it. What makes no sense in a message is said, and stops nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

import msgspec

MAX_KEY_BYTES = 1_024
"""The longest key that S3 knows; asked for a longer one it answers with an error."""

MAX_PROBLEMS = 10
"""How many problems of a message are told; the others, up to a megabyte of them, are counted."""

_EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class EventHints:
    """What a message tells.

    Attributes:
        keys: Keys under our prefix that something happened to.
        elsewhere: How many of its events are of other keys of our bucket, as is usual where a
            bucket's notifications are not limited to the prefix.
        problems: What in it is no event of our bucket, each with the reason, for the log: the
            first ``MAX_PROBLEMS``, and after them how many more there are.
    """

    keys: frozenset[str]
    elsewhere: int
    problems: tuple[str, ...]


class _Bucket(msgspec.Struct):
    name: str


class _Object(msgspec.Struct):
    key: str


class _Event(msgspec.Struct):
    bucket: _Bucket
    of_object: _Object = msgspec.field(name="object")


class _Record(msgspec.Struct):
    s3: _Event


class _Message(msgspec.Struct):
    """The fields that tell the shapes apart; each record is read by itself."""

    records: list[msgspec.Raw] = msgspec.field(name="Records", default_factory=list)
    detail: msgspec.Raw = msgspec.Raw()
    message: str | None = msgspec.field(name="Message", default=None)
    event: str | None = msgspec.field(name="Event", default=None)


_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What reading a text as JSON of some shape can raise, whatever the text."""


def read_event_message(body: str, bucket: str, prefix: str) -> EventHints:
    """Read a message as S3 notifications put them into a queue, directly, by SNS or by EventBridge.

    Args:
        body: The message's body, whatever it is; nothing in it raises.
        bucket: Name of our bucket.
        prefix: What our keys begin with, without the slash after it; empty for the whole bucket.
    """
    keys: set[str] = set()
    elsewhere = 0
    problems: list[str] = []
    try:
        for event in _events(body):
            if isinstance(event, str):
                problems.append(event)
            elif (name := event.bucket.name) != bucket:
                problems.append(f"an event of another bucket, {name[:_EXCERPT_CHARACTERS]!r}")
            elif (refusal := _refusal(event.of_object.key)) is not None:
                problems.append(f"{refusal}: {event.of_object.key[:_EXCERPT_CHARACTERS]!r}")
            elif prefix and not event.of_object.key.startswith(f"{prefix}/"):
                elsewhere += 1
            else:
                keys.add(event.of_object.key)
    except _UNREADABLE as error:
        problems.append(f"not an event ({error}): {body[:_EXCERPT_CHARACTERS]!r}")
    more = len(problems) - MAX_PROBLEMS
    if more > 0:
        problems[MAX_PROBLEMS:] = [f"{more:,} more records of it are no events of our bucket"]
    return EventHints(frozenset(keys), elsewhere, tuple(problems))


def _events(body: str) -> Iterator[_Event | str]:
    """The events of a message, with their keys as the bucket has them, or why one is none."""
    message = msgspec.json.decode(body, type=_Message)
    if message.records:
        for record in message.records:
            yield _notification(record)
    elif message.detail:
        # EventBridge gives keys as they are.
        yield msgspec.json.decode(message.detail, type=_Event)
    elif message.message is not None:
        yield from _events(message.message)
    elif message.event == "s3:TestEvent":
        yield "S3's test event, which it sends when notifications are set up"
    else:
        yield f"names no object: {body[:_EXCERPT_CHARACTERS]!r}"


def _notification(record: msgspec.Raw) -> _Event | str:
    """An event as S3 itself writes it, its key encoded as in a form of the web."""
    try:
        event = msgspec.json.decode(record, type=_Record).s3
        event.of_object.key = unquote_plus(event.of_object.key, errors="strict")
    except _UNREADABLE as error:
        return f"a record that is no event ({error}): {bytes(record)[:_EXCERPT_CHARACTERS]!r}"
    return event


def _refusal(key: str) -> str | None:
    """Why no object can have this key; None where one can."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "a key that is not text"
    if not key.strip("/"):
        return "an empty key"
    if size > MAX_KEY_BYTES:
        return f"a key of {size:,} bytes, more than S3 knows"
    return None
