"""Documents damaged at random: each ends in exactly one place, read as the model reads it.

`make fuzz` is the long form: KEYCASH_MUTANTS says how many, KEYCASH_FUZZ_SEED which. A mutant is
made from its name alone: ``keycash_assets_tests.mutation.mutant("0/123")`` makes it again.
"""

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import duckdb
import pytest

from keycash_assets import loading
from keycash_assets.core import documents
from keycash_assets.loading import load_everything_again, load_everything_new
from keycash_assets.metric import update_credit_per_day
from keycash_assets.warehouse import connect_to_write, transaction
from keycash_assets_tests import comparison, model
from keycash_assets_tests.memory_bucket import MemoryBucket
from keycash_assets_tests.mutation import mutant

MUTANTS = int(os.environ.get("KEYCASH_MUTANTS", "400"))
SEED = os.environ.get("KEYCASH_FUZZ_SEED", "0")
BATCH = 400


def _load(path: str, objects: Mapping[str, bytes]) -> tuple[str, ...]:
    """Load objects into a new warehouse, then in small parts again; what is other the second time.

    It runs in a process of its own, whose limits it may change.
    """
    bucket = MemoryBucket()
    for key, content in objects.items():
        bucket.put(key, content)
    connection = connect_to_write(path)
    try:
        load_everything_new(connection, bucket, "run")
        with transaction(connection):
            update_credit_per_day(connection, "run", datetime.now(timezone.utc))
        documents.PART_BYTES = documents.WHOLE_BYTES = 200
        documents.MAX_MEMORY_BYTES = 400
        loading.INSERT_BYTES, loading.BATCH_OBJECTS = 20_000, 150
        summary = load_everything_again(connection, bucket, "full")
    finally:
        connection.close()
    return (*(summary.differing_objects or ()), *(summary.differing_days or ()))


def _fails(objects: Mapping[str, bytes], folder: Path) -> str | None:
    """How a load of the objects ends that does not end well.

    A process that dies must not take along the test, which names the mutant that killed it.
    """
    path = folder / f"{len(list(folder.iterdir()))}.duckdb"
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        try:
            differing = pool.submit(_load, str(path), objects).result()
        except BrokenProcessPool:
            return "the process died"
        except Exception as error:  # noqa: BLE001  whatever it is, the mutant is to be named
            return f"{type(error).__name__}: {error}"
    if differing:
        return f"a full load finds something else: {differing}"
    return _difference(path, objects)


def _difference(path: Path, objects: Mapping[str, bytes]) -> str | None:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for key, found in comparison.object_differences(connection, objects).items():
            return f"{key}: {'; '.join(found)}"
        if found := comparison.metric_differences(connection, objects):
            return "; ".join(found)
        failed = comparison.failed_checks(connection)
        return f"blocking checks fail: {failed}" if failed else None


def _culprit(objects: Mapping[str, bytes], folder: Path) -> str:
    """The one object that makes a load of them fail, or as few of them as do so together."""
    failure = _fails(objects, folder)
    assert failure is not None, "the failure did not happen again"
    keys = list(objects)
    while len(keys) > 1:
        middle = len(keys) // 2
        for half in (keys[:middle], keys[middle:]):
            of_half = _fails({key: objects[key] for key in half}, folder)
            if of_half is not None:
                keys, failure = half, of_half
                break
        else:
            break
    shown = [f"{key} = {objects[key][:4_000]!r} ({len(objects[key]):,} bytes)" for key in keys[:5]]
    return f"{failure}\nloading {len(keys)} of the mutants:\n" + "\n".join(shown)


def test_every_mutant_is_accounted_for_and_read_as_the_model_reads_it(tmp_path: Path) -> None:
    """A reader that dies, skips or guesses on damaged input makes every number doubtful."""
    names = iter(f"{SEED}/{number}" for number in range(MUTANTS))
    places = {"quarantined": 0, "loaded in part": 0, "loaded": 0}
    rows = valid = 0
    while batch := list(islice(names, BATCH)):
        objects = {f"prefix/{name}": mutant(name) for name in batch}
        if failure := _fails(objects, tmp_path):
            pytest.fail(f"{failure}\n{_culprit(objects, tmp_path)}")
        for content in objects.values():
            reading = model.read(content)
            place = "loaded in part" if reading.bad else "loaded"
            places["quarantined" if reading.is_quarantined else place] += 1
            rows += len(reading.elements)
            valid += sum(not model.request(element).problems for element in reading.elements)
    assert sum(places.values()) == MUTANTS
    # Mutants that all end in one place would prove nothing about the others.
    assert min(places.values()) > MUTANTS / 100
    print(f"{MUTANTS} mutants: {places}; {rows:,} records, {valid:,} of them valid")  # noqa: T201
