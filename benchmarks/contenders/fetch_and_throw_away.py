"""Floor: the objects fetched with obstore by their known keys, and thrown away."""

import asyncio
import os
from collections.abc import Mapping

import obstore

from benchmarks.documents import key, object_store
from benchmarks.measuring import Stopwatch, run_contender


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Fetch, and count the bytes."""
    store = object_store(os.environ)
    in_flight = int(options["in_flight"])
    keys = [key(options["prefix"], number) for number in range(int(options["objects"]))]
    sizes: list[int] = []

    async def fetch(places: asyncio.Semaphore, name: str) -> None:
        async with places:
            response = await obstore.get_async(store, name)
            sizes.append(len(await response.bytes_async()))

    async def fetch_all() -> None:
        places = asyncio.Semaphore(in_flight)
        await asyncio.gather(*(fetch(places, name) for name in keys))

    with stopwatch:
        asyncio.run(fetch_all())
    return len(sizes) * int(options["records"])


if __name__ == "__main__":
    run_contender(work)
