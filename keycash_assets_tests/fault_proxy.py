"""An S3 server that fails as told: a proxy in front of the real one.

A signature covers the Host header, so the proxy hands every header on as it came. Every request
reaches the server behind; a fault is what becomes of its answer.
"""

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """A request as it came: its first line and headers, untouched, and its body."""

    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        """As in ``GET``."""
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        """Path and query, decoded."""
        return unquote(self.head.split(b" ", 2)[1].decode())

    @property
    def is_listing(self) -> bool:
        """Whether it asks for a page of keys and not for an object."""
        return "list-type=2" in self.target


@dataclass(frozen=True)
class Response:
    """An answer on its way to the client.

    Attributes:
        head: Status line and headers, without the empty line after them.
        body: What is sent; Content-Length in ``head`` may promise another length.
        ending: ``close`` the connection after it, ``reset`` it, or ``stall``: send no more, but
            keep it open.
    """

    head: bytes
    body: bytes
    ending: str = "close"

    def with_header(self, name: str, value: str) -> "Response":
        """The same answer with one header set, in place of the one of that name."""
        lines = [
            line
            for line in self.head.split(b"\r\n")
            if not line.lower().startswith(name.lower().encode() + b":")
        ]
        return replace(self, head=b"\r\n".join([*lines, f"{name}: {value}".encode()]))


def real(response: Response) -> Response:
    """The real answer: what matters is what was done before it."""
    return response


def answers(status: str, code: str) -> Callable[[Response], Response]:
    """An S3 error, as in ``answers("503 Slow Down", "SlowDown")``."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{code} by the test</Message></Error>"
    ).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    ).encode()
    return lambda _: Response(head, body)


def reset(_: Response) -> Response:
    """The connection is reset before any answer."""
    return Response(b"", b"", "reset")


def stall(_: Response) -> Response:
    """The request is taken, and never answered."""
    return Response(b"", b"", "stall")


def reset_halfway(response: Response) -> Response:
    """Half of the body comes, then a reset."""
    return replace(response, body=_half(response.body), ending="reset")


def stall_halfway(response: Response) -> Response:
    """Half of the body comes, then nothing more."""
    return replace(response, body=_half(response.body), ending="stall")


def cut_off(response: Response) -> Response:
    """Half of the body comes, then an orderly end of the connection."""
    return replace(response, body=_half(response.body))


def shortened(response: Response) -> Response:
    """Half of the body comes, and is said to be the whole."""
    half = _half(response.body)
    return replace(response, body=half).with_header("Content-Length", str(len(half)))


def corrupted(response: Response) -> Response:
    """Bytes of the right number under the right ETag, one bit of them wrong."""
    middle = len(response.body) // 2
    wrong = bytes([response.body[middle] ^ 1])
    return replace(response, body=response.body[:middle] + wrong + response.body[middle + 1 :])


def with_body(body: bytes) -> Callable[[Response], Response]:
    """Other bytes under the right ETag, as many as the real ones."""
    return lambda response: replace(response, body=body)


def with_listed(key: str) -> Callable[[Response], Response]:
    """A page of keys with one more, under which the server has nothing."""
    entry = (
        f"<Contents><Key>{key}</Key><LastModified>2022-01-01T00:00:00Z</LastModified>"
        "<ETag>&quot;0&quot;</ETag><Size>1</Size></Contents></ListBucketResult>"
    ).encode()

    def change(response: Response) -> Response:
        body = response.body.replace(b"</ListBucketResult>", entry)
        return replace(response, body=body).with_header("Content-Length", str(len(body)))

    return change


def with_headers(headers: Mapping[str, str]) -> Callable[[Response], Response]:
    """The real answer, with these headers."""

    def change(response: Response) -> Response:
        for name, value in headers.items():
            response = response.with_header(name, value)
        return response

    return change


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


@dataclass
class Fault:
    """What happens to requests that match.

    Attributes:
        change: Makes the answer out of the real one.
        key: The path has to end in this; empty for any.
        methods: Which methods it is about.
        listings: Whether it is about pages of keys, or about objects; None for both.
        times: How many requests it is for, after which they pass; None for all.
        skip: How many matching requests pass before it begins.
        before: Called before the real server is asked, as in overwriting the object.
        hits: How many requests it met.
    """

    change: Callable[[Response], Response]
    key: str = ""
    methods: tuple[str, ...] = ("GET",)
    listings: bool | None = False
    times: int | None = None
    skip: int = 0
    before: Callable[[], None] | None = None
    hits: int = 0
    seen: int = field(default=0, init=False)

    def takes(self, request: Request) -> bool:
        """Whether it is for this request; counts it if so."""
        path = urlsplit(request.target).path
        if (
            request.method not in self.methods
            or not path.endswith(self.key)
            or self.listings not in {None, request.is_listing}
        ):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class FaultProxy:
    """Faults in front of one server; started by ``running``.

    Attributes:
        faults: The faults in force; the first that takes a request has it.
        requests: Method and target of every request that came.
        endpoint: Address to give to clients.
    """

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._server = (parts.hostname or "", parts.port or 80)
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.endpoint = ""
        self._writers: set[asyncio.StreamWriter] = set()

    def inject(self, change: Callable[[Response], Response], **matching: Any) -> Fault:
        """Put a fault in force."""
        fault = Fault(change, **matching)
        self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Take all faults out of force."""
        self.faults.clear()

    @contextmanager
    def running(self) -> Iterator["FaultProxy"]:
        """Serve on a free port of 127.0.0.1, in a thread of its own."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(
            asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2**20)
        )
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        thread = threading.Thread(target=loop.run_forever, name="fault proxy")
        thread.start()
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(server), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _stop(self, server: asyncio.Server) -> None:
        server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.wait(others, timeout=0.1)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._one_request(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away: it may
        finally:
            writer.close()
            self._writers.remove(writer)

    async def _one_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        request = Request(head, await reader.readexactly(int(length[1])) if length else b"")
        self.requests.append((request.method, request.target))
        fault = next((fault for fault in self.faults if fault.takes(request)), None)
        if fault is not None and fault.before is not None:
            await asyncio.to_thread(fault.before)
        response = await self._ask(request)
        if fault is not None:
            response = fault.change(response)
        if response.head:
            body = b"" if request.method == "HEAD" else response.body
            writer.write(response.head + b"\r\nConnection: close\r\n\r\n" + body)
            await writer.drain()
        if response.ending == "stall":
            await reader.read()  # until the client gives up
        elif response.ending == "reset":
            # Closed with a linger of 0 seconds, a connection ends in RST and not in FIN.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def _ask(self, request: Request) -> Response:
        reader, writer = await asyncio.open_connection(*self._server)
        try:
            # By HTTP/1.0 the answer comes in one piece and ends with the connection.
            writer.write(request.head.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
            writer.write(request.body)
            answer = await reader.read()
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        head = head.replace(b"HTTP/1.0", b"HTTP/1.1", 1)
        return Response(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head), body)
