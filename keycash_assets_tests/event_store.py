"""A bucket on a server that speaks S3 and SQS, whose events go to a queue as on AWS."""

import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from keycash_assets.local.processes import Supervisor, answers, free_ports, wait_until
from keycash_assets_tests.living_platform import wait_for

PREFIX = "credit_requests"


class EventServer:
    """The server.

    Args:
        endpoint: Its address.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.environment = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": endpoint,
        }

    @classmethod
    @contextmanager
    def start(cls, home: Path) -> Iterator["EventServer"]:
        """Start it, and stop it at the end."""
        port = free_ports(1)[0]
        listening = {"BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": port}
        limits = {"SERVICES": "s3,sqs", "SFTP_ENABLED": 0, "IOT_MTLS_ENABLED": 0, "S3_PERSIST": 0}
        with Supervisor() as supervisor:
            process = supervisor.start(
                "The event server",
                [str(Path(sys.executable).with_name("ministack"))],
                {name: str(value) for name, value in {**listening, **limits}.items()},
                home / "server.log",
            )
            server = cls(f"http://127.0.0.1:{port}")
            wait_until(lambda: answers(f"{server.endpoint}/_ministack/health"), [process], 60)
            yield server

    def client(self, service: str) -> Any:
        """A client that shares nothing with the platform's own."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  the server takes any
        )

    def create_bucket(self) -> "EventStore":
        """A bucket of its own, with its queue."""
        return EventStore(self, f"bucket-{uuid.uuid4().hex[:12]}")


class EventStore:
    """A bucket and its queue.

    Args:
        server: Where they are created.
        bucket: The bucket's name, and the queue's.
    """

    def __init__(self, server: EventServer, bucket: str) -> None:
        self.bucket = bucket
        self._s3 = server.client("s3")
        self._sqs = server.client("sqs")
        self._s3.create_bucket(Bucket=bucket)
        self.queue_url = str(self._sqs.create_queue(QueueName=bucket)["QueueUrl"])
        names = ["QueueArn"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        self._s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": arn["Attributes"]["QueueArn"],
                        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
                    }
                ]
            },
        )
        self.wait_for_waiting(1)  # S3's test event
        self.environment = {
            **server.environment,
            "KEYCASH_OBJECTS_URL": f"s3://{bucket}/{PREFIX}",
            "KEYCASH_EVENTS_QUEUE_URL": self.queue_url,
            "KEYCASH_RECONCILE_SECONDS": "1000000",
        }

    def send(self, bodies: Sequence[str]) -> None:
        """Put messages into the queue, in this order."""
        for body in bodies:
            self._sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)

    def delete_queue(self) -> None:
        """Delete the queue."""
        self._sqs.delete_queue(QueueUrl=self.queue_url)

    def take(self, count: int) -> list[str]:
        """Take as many messages out of the queue, and give their bodies."""
        self.wait_for_waiting(count)
        bodies: list[str] = []
        while len(bodies) < count:
            answer = self._sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
            for message in answer["Messages"]:
                bodies.append(message["Body"])
                self._sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
        return bodies

    def wait_for_waiting(self, count: int) -> None:
        """Wait until as many messages wait in the queue: events come a moment after the fact."""
        wait_for(lambda: self.depth()[0] == count, f"{count} messages wait", 20)

    def depth(self) -> tuple[int, int]:
        """How many messages wait, and how many are handed out."""
        answer = self._sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["All"])
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        waiting, held = (int(answer["Attributes"][name]) for name in names)
        return waiting, held
