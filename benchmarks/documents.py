"""Documents of the shape of the real ones, in any number, and always the same bytes."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

from benchmarks.bench import Bench
from keycash_assets.local.object_store_server import BUCKET
from keycash_assets.progress import progress_bar, side_by_side

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

REQUESTS_IN_FLIGHT = 64

_FIRST_DAY = datetime(2022, 1, 1)  # noqa: DTZ001  the files hold local time without a zone
_NAMES = ("KAYLAH", "BELUÇA", "ANTÔNIO", "MARIA EDUARDA", "JOSÉ", "RAIMUNDA", "LUÍS", "ÁGATA")


def document(first: int, records: int, clients: int, days: int = 365) -> bytes:
    """A document of this many requests.

    Args:
        first: Number of the first request, of which all the rest follows.
        records: How many there are.
        clients: How many clients all the requests are spread over.
        days: How many days they are spread over, from 2022-01-01.
    """
    lines = ", ".join(_record(number, clients, days) for number in range(first, first + records))
    return f'{{"clientes": [{lines}]}}'.encode()


def _record(number: int, clients: int, days: int) -> str:
    # Multiples of primes go through all clients and minutes before one comes again.
    client = number * 2_654_435_761 % clients
    minute = number * 40_503_001 % (days * 24 * 60)
    asked = _FIRST_DAY + timedelta(minutes=minute)
    return (
        f'{{"id": "{client_id(client)}", "name": "{_NAMES[client % len(_NAMES)]}", '
        f'"idade": {18 + client % 60}, "credito_solicitado": {10_000 + number * 7_919 % 490_000}, '
        f'"data_solicitacao": "{asked:%m/%d/%Y %H:%M}"}}'
    )


def client_id(client: int) -> str:
    """The id of a client: 32 hexadecimal digits, as DuckDB's ``md5(client::VARCHAR)`` gives."""
    return hashlib.md5(str(client).encode(), usedforsecurity=False).hexdigest()


def seed(
    bench: Bench, prefix: str, objects: int, records: int, clients: int, first: int = 0
) -> None:
    """Have this many objects of this many records under a prefix; kept from one call to the next.

    Args:
        bench: Where.
        prefix: Prefix of theirs alone.
        objects: How many objects.
        records: Records in each of them.
        clients: How many clients all the requests are spread over.
        first: Number of the first request in the first object.
    """
    there = {version.key for version in bench.bucket(prefix).all_versions()}
    missing = [number for number in range(objects) if key(prefix, number) not in there]
    if not missing:
        return
    bench.say(f"putting {len(missing):,} objects into the bucket")
    in_flight = REQUESTS_IN_FLIGHT if records < 1_000 else 2
    with progress_bar("Seeding", len(missing)) as advance:
        for start in range(0, len(missing), 1_000):
            numbers = missing[start : start + 1_000]
            content = {
                key(prefix, number): partial(document, first + number * records, records, clients)
                for number in numbers
            }
            _put(bench.store, content, in_flight)
            advance(len(numbers))


def key(prefix: str, number: int) -> str:
    """Key of an object of ``seed``."""
    return f"{prefix}/requests_{number:07d}.json"


def object_store(environment: Mapping[str, str]) -> "S3Store":
    """A client of the local S3 server, with no more between it and the server than it needs."""
    from obstore.store import S3Store  # noqa: PLC0415  shortens start-up

    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_REGION")
    return S3Store(
        BUCKET,
        config=cast("S3Config", {name: environment[name] for name in names}),
        client_options={"allow_http": True},
    )


def _put(
    environment: Mapping[str, str], content: Mapping[str, Callable[[], bytes]], in_flight: int
) -> None:
    import obstore  # noqa: PLC0415  shortens start-up

    store = object_store(environment)

    def put(name: str) -> None:
        obstore.put(store, name, content[name]())

    side_by_side(put, list(content), in_flight)
