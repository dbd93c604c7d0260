"""A process killed at any moment loses nothing, doubles nothing and leaves readers as they were.

`make crash` is the long form: KEYCASH_KILLS says how many times.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from keycash_assets.bucket import Bucket
from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS, find_offenders
from keycash_assets.loading import load_everything_new
from keycash_assets.metric import update_credit_per_day
from keycash_assets.settings import Settings
from keycash_assets.warehouse import connect_to_write, transaction
from keycash_assets_tests import model
from keycash_assets_tests.platform import Platform, credit_request, document

KILLS = int(os.environ.get("KEYCASH_KILLS", "12"))

# Loads, builds, publishes and rebuilds without a pause, so that a kill always hits something.
LOADER = """
import os
from contextlib import ExitStack
from datetime import datetime, timezone
from keycash_assets.bucket import bucket_of
from keycash_assets.loading import load_everything_again, load_everything_new
from keycash_assets.metric import update_credit_per_day
from keycash_assets.publishing import publish
from keycash_assets.settings import Settings
from keycash_assets.warehouse import connect_to_write, transaction

settings = Settings.from_environment(os.environ)
bucket = bucket_of(settings, os.environ)
print("started", flush=True)
while True:
    for load in (load_everything_new, load_everything_again):
        with ExitStack() as lease:
            connection = connect_to_write(settings.warehouse)
            load(connection, bucket, "run")
            with transaction(connection):
                update_credit_per_day(connection, "run", datetime.now(timezone.utc))
            publish(connection, settings.warehouse, settings.published, "run", lease)
            connection.close()
"""


def _offenders(connection: duckdb.DuckDBPyConnection, *, metric: bool) -> dict[str, int]:
    checks = [*LANDING_CHECKS, *(METRIC_CHECKS if metric else ())]
    counted = {c.name: len(find_offenders(connection, c)[1]) for c in checks if c.blocking}
    return {name: count for name, count in counted.items() if count}


def _assert_consistent(settings: Settings) -> None:
    """The warehouse opens and is whole up to a commit; the snapshot is whole and checked."""
    if Path(settings.warehouse).exists():
        connection = connect_to_write(settings.warehouse)
        tables = connection.execute("SHOW TABLES").fetchall()
        if ("publications",) in tables:
            assert _offenders(connection, metric=False) == {}
        connection.close()
    if settings.published.exists():
        with duckdb.connect(settings.published, read_only=True) as connection:
            assert _offenders(connection, metric=True) == {}


def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(
    platform: Platform, settings: Settings, bucket: Bucket
) -> None:
    chance = random.Random(KILLS)  # noqa: S311  no secret
    objects: dict[str, bytes] = {}
    for kill in range(KILLS):
        arriving = {
            f"{chance.randrange(150)}.json": document(
                *(
                    credit_request(f"c{chance.randrange(200)}", kill, f"01/{day:02d}/2022 10:00")
                    for day in (chance.randrange(1, 29), chance.randrange(1, 29))
                )
            )
            for _ in range(12)
        }
        platform.put(arriving)
        objects |= {bucket.key_of(name): content for name, content in arriving.items()}
        process = subprocess.Popen(
            [sys.executable, "-c", LOADER], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        time.sleep(chance.uniform(0, 1.5))  # the moment is the point, not a wait for anything
        assert process.poll() is None, process.communicate()[1].decode()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        _assert_consistent(settings)

    connection = connect_to_write(settings.warehouse)
    load_everything_new(connection, bucket, "last")
    with transaction(connection):
        ((now,),) = connection.execute("SELECT now()").fetchall()
        update_credit_per_day(connection, "last", now)
    assert _offenders(connection, metric=True) == {}
    rows = connection.execute(
        "SELECT object_key, record_index, record FROM landing_table ORDER BY ALL"
    ).fetchall()
    days = connection.execute("FROM credit_per_day").fetchall()
    connection.close()
    assert rows == sorted(
        (key, index, element)
        for key, content in objects.items()
        for index, element in enumerate(model.read(content).elements)
    )
    assert {day: (total, requests) for day, total, requests in days} == (
        model.credit_per_day(objects)
    )
