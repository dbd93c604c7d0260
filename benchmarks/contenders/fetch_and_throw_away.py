"""Floor: the objects fetched with obstore by their known keys, and thrown away."""

import os
from collections.abc import Mapping

import obstore

from benchmarks.documents import key, object_store
from benchmarks.measuring import Stopwatch, run_contender
from keycash_assets.progress import side_by_side


def work(options: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Fetch, and count the bytes."""
    store = object_store(os.environ)
    keys = [key(options["prefix"], number) for number in range(int(options["objects"]))]

    def fetch(name: str) -> int:
        return len(obstore.get(store, name).bytes())

    with stopwatch:
        sizes = side_by_side(fetch, keys, int(options["in_flight"]))
    return len(sizes) * int(options["records"])


if __name__ == "__main__":
    run_contender(work)
