"""How long an object store is given to answer, and what is asked again.

Two rounds, one within the other. The client repeats a request that fails, and goes on where a body
broke off. What it cannot know or has not mended, a page of keys that broke off or bytes that are
not the object's, is asked for anew from the start.

Without a byte a read ends after ``ATTEMPTS * SILENCE`` and the pauses, about 35 seconds; as long as
bytes come, it may take hours.
"""

import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

ATTEMPTS = 3
"""How often something is asked for anew."""

FIRST_PAUSE_SECONDS = 1.0
"""The longest pause before the second attempt; it doubles from one to the next."""

CLIENT_RETRIES = 5
"""How often the client itself repeats a request or resumes a body, within ``SILENCE``."""

SILENCE = timedelta(seconds=10)
"""A connection over which nothing has come for so long has failed."""

LONGEST_READ = timedelta(hours=6)
"""How long a body may take, as long as it is not silent."""

LONGEST_UPLOAD = timedelta(minutes=5)
"""How long a request may take that sends a file, or 5 MB of it."""

Result = TypeVar("Result")

_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]+)</Message>")
_TIMED_OUT = "TimedOut"
# S3 answers some faults that pass with the status of those that do not.
_CODES_THAT_PASS = {"RequestTimeout", "ThrottlingException", "KMS.ThrottlingException"}
# 404, 412 and 416 end a body that was to be resumed after its object changed: anew, it shows.
_STATUSES_THAT_PASS = {"404", "408", "409", "412", "416", "425", "429"}


class WrongBytesError(Exception):
    """What came is not the object that was asked for."""


def client_options(*, allow_http: bool, uploads: bool = False) -> "ClientConfig":
    """Limits of a request.

    Args:
        allow_http: Whether the server is reached without encryption.
        uploads: Whether it is to upload: until all is sent, nothing can come back.
    """
    options: ClientConfig = {"allow_http": allow_http, "connect_timeout": timedelta(seconds=5)}
    if uploads:
        return {**options, "timeout": LONGEST_UPLOAD}
    return {**options, "read_timeout": SILENCE, "timeout": LONGEST_READ}


def client_retries() -> "RetryConfig":
    """What the client itself repeats, with exponential back-off and jitter."""
    return {
        "max_retries": CLIENT_RETRIES,
        "retry_timeout": SILENCE,
        "backoff": {
            "init_backoff": timedelta(milliseconds=200),
            "max_backoff": SILENCE / 2,
            "base": 2,
        },
    }


def code_of(error: Exception) -> str | None:
    """The object store's name for what is wrong, as in ``AccessDenied``; None if it gave none."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  shortens start-up

    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    found = _CODE.search(str(error))
    return found[1] if found else None


def reason(error: Exception) -> str:
    """What is wrong, in a line."""
    text, _, cause = str(error).partition("\n\nDebug source")
    status, code, message = (find.search(text) for find in (_STATUS, _CODE, _MESSAGE))
    if status is not None:
        return ", ".join(found[1].strip() for found in (status, code, message) if found)
    if _TIMED_OUT in cause:
        return f"nothing came for {SILENCE.total_seconds():g} seconds"
    # Before the dash stand the address and how often it was tried.
    return text.rsplit(" - ", 1)[-1].removeprefix("Generic S3 error: ")


def may_pass(error: Exception) -> bool:
    """Whether asking again may help: not where the object store understood, and refused."""
    from obstore.exceptions import GenericError  # noqa: PLC0415  shortens start-up

    if code_of(error) in _CODES_THAT_PASS or isinstance(error, WrongBytesError):
        return True
    if not isinstance(error, GenericError):
        return False
    status = _STATUS.search(str(error))
    return status is None or status[1][0] != "4" or status[1][:3] in _STATUSES_THAT_PASS


def may_be_of_the_store(error: Exception) -> bool:
    """Whether the error may be one of the store, or of the rights to it, rather than of one object.

    Credentials that are no good show in the listing, which nothing loads without.
    """
    return not isinstance(error, WrongBytesError) and (
        may_pass(error) or code_of(error) == "AccessDenied"
    )


def pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt: exponential back-off with full jitter.

    Clients that were turned away together do not come back together.
    """
    for attempt in range(ATTEMPTS - 1):
        yield random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt)  # noqa: S311  no secret


def persistently(request: Callable[[], Result]) -> Result:
    """The result of a request, made anew as long as its fault may pass.

    Raises:
        Exception: What the last attempt raised.
    """
    waits = pauses()
    while True:
        try:
            return request()
        except Exception as error:
            pause = next(waits, None)
            if pause is None or not may_pass(error):
                raise
        time.sleep(pause)
