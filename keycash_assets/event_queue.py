"""The queue that a bucket puts its event notifications into: Amazon SQS, or what speaks like it."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from keycash_assets.errors import EventQueueError

WAIT_SECONDS = 5
"""How long a first message is awaited: as long as Dagster's daemon would otherwise pause."""

DRAIN_SECONDS = 3.0
"""How long messages are taken from the queue after the first one."""

SETTLE_SECONDS = 0.2
"""How long more messages are awaited: objects that are put together load together."""

MAX_MESSAGES = 5_000
MAX_BYTES = 16 * 1024**2
"""How much is taken from the queue at once, but for the last answers: what bounds the memory."""

HELD_SECONDS = 30
"""How long the queue keeps a message back that it has handed out, before it hands it out again."""

_CONNECTIONS = 8
_BATCH = 10
"""The most messages that SQS gives or takes in one request."""


@dataclass(frozen=True)
class Message:
    """A message that the queue has handed out.

    Attributes:
        message_id: The queue's name for it.
        receipt: What deletes it.
        body: What it says.
    """

    message_id: str
    receipt: str
    body: str


@dataclass(frozen=True)
class QueueDepth:
    """How full a queue is, about: SQS does not count exactly.

    Attributes:
        waiting: Messages that nobody has received.
        held: Messages that were handed out and neither deleted nor given back.
    """

    waiting: int
    held: int


class EventQueue:
    """A queue. Credentials are found as AWS's own tools find them.

    Args:
        url: The queue's address; requests go to the server that it names.
        environment: Variables as AWS's own tools read them, for the region.
    """

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self.url = url
        parts = urlsplit(url)
        self._endpoint = f"{parts.scheme}://{parts.netloc}"
        self._region = (
            _region(url) or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        )

    def receive(self, wait_seconds: int) -> list[Message]:
        """Take what is in the queue, up to a bound. Each message comes again if it is not deleted.

        Args:
            wait_seconds: How long to wait for a first message; at most ``WAIT_SECONDS``.

        Raises:
            EventQueueError: The queue could not be read; what was taken comes again by itself.
        """
        with self._requests() as client, ThreadPoolExecutor(_CONNECTIONS) as threads:
            messages = self._receive_some(client, wait_seconds)
            size = sum(len(message.body) for message in messages)
            deadline = time.monotonic() + DRAIN_SECONDS
            arrived = len(messages)
            while (
                arrived
                and len(messages) < MAX_MESSAGES
                and size < MAX_BYTES
                and time.monotonic() < deadline
            ):
                if arrived < _BATCH:
                    time.sleep(SETTLE_SECONDS)
                answers = list(
                    threads.map(lambda _: self._receive_some(client, 0), range(_CONNECTIONS))
                )
                some = [message for answer in answers for message in answer]
                messages += some
                size += sum(len(message.body) for message in some)
                arrived = len(some)
        return messages

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages.

        Raises:
            EventQueueError: Some could not be deleted; they come again.
        """
        batches = [messages[n : n + _BATCH] for n in range(0, len(messages), _BATCH)]
        with self._requests() as client, ThreadPoolExecutor(_CONNECTIONS) as threads:

            def delete(batch: Sequence[Message]) -> list[str]:
                answer = client.delete_message_batch(
                    QueueUrl=self.url,
                    Entries=[
                        {"Id": str(n), "ReceiptHandle": message.receipt}
                        for n, message in enumerate(batch)
                    ],
                )
                return [str(failed.get("Message")) for failed in answer.get("Failed", [])]

            failures = [failure for batch in threads.map(delete, batches) for failure in batch]
        if failures:
            raise EventQueueError(
                f"{len(failures):,} of {len(messages):,} messages could not be deleted from "
                f"{self.url}, so they come again: {failures[0]}."
            )

    def depth(self) -> QueueDepth:
        """How many messages are in the queue.

        Raises:
            EventQueueError: The queue could not be asked.
        """
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with self._requests() as client:
            answer = client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return QueueDepth(*(int(answer["Attributes"][name]) for name in names))

    def _receive_some(self, client: Any, wait_seconds: int) -> list[Message]:
        answer = client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=HELD_SECONDS,
        )
        return [
            Message(message["MessageId"], message["ReceiptHandle"], message["Body"])
            for message in answer.get("Messages", [])
        ]

    @contextmanager
    def _requests(self) -> Iterator[Any]:
        """A client to make requests with, whose errors are told as ours."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  slow to import

        try:
            yield _client(self._endpoint, self._region)
        except (BotoCoreError, ClientError, OSError) as error:
            raise EventQueueError(
                f"Cannot use the queue {self.url}: {error}. Check KEYCASH_EVENTS_QUEUE_URL, the "
                "region, the credentials and their permissions (sqs:ReceiveMessage, "
                "sqs:DeleteMessage, sqs:GetQueueAttributes)."
            ) from error


@lru_cache(maxsize=1)
def _client(endpoint: str, region: str | None) -> Any:
    """The client, made once: that takes longer than a request. It renews its credentials itself."""
    from boto3 import Session  # noqa: PLC0415  slow to import
    from botocore.config import Config  # noqa: PLC0415

    return Session().client(
        "sqs",
        region_name=region,
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=2,
            read_timeout=WAIT_SECONDS + 5,
            retries={"total_max_attempts": 2, "mode": "standard"},
            max_pool_connections=_CONNECTIONS,
        ),
    )


def _region(url: str) -> str | None:
    """The region that a queue's address on AWS names; None for other servers."""
    found = re.match(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/", url)
    return found[1] if found else None
