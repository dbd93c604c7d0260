"""A run killed at any moment loses nothing, doubles nothing and leaves readers as they were.

Real runs of both jobs, in processes of their own, are killed (SIGKILL) while they fetch, parse,
insert, commit, publish, rebuild and keep Dagster's books. `make crash` is the long form:
KEYCASH_KILLS says how many times.
"""

import hashlib
import os
import random
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import duckdb
import pytest

from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS, find_offenders
from keycash_assets.warehouse import connect_to_write
from keycash_assets_tests import comparison
from keycash_assets_tests.platform import Platform, credit_request, document
from keycash_assets_tests.run_process import Order, RunProcesses

KILLS = int(os.environ.get("KEYCASH_KILLS", "12"))
OBJECTS = 4
"""Put before each run: each costs Dagster more than it costs us."""

CHOSEN: dict[str, tuple[str, ...]] = {
    "listing": ("request list", "making of partitions"),
    "GET": ("request get",),
    "parsing": ("parsing",),
    "insert": ("load/landing_table", "load/object_ledger", "load/quarantine"),
    "before commit": ("before commit",),
    "after commit": ("after commit",),
    "metric": ("metric/",),
    "checks": ("checks/",),
    "publishing": ("load/publications", "copy of a block", "flush of the copy"),
    "swap": ("rename",),
    "Dagster's books": ("event ",),
}
"""Moments by the beginning of their names: each kind is killed in turn."""

HELD, PASSING, RANDOM = "held there", "just after", "at random"


def _moments_of(kind: str, trace: list[str]) -> list[str]:
    bare = (name.removeprefix("before ").removeprefix("after ") for name in trace)
    return [
        name
        for name, short in zip(trace, bare, strict=True)
        if name.startswith(CHOSEN[kind]) or short.startswith(CHOSEN[kind])
    ]


@dataclass
class History:
    """What was ever put into the bucket, and what must be found of it.

    Attributes:
        contents: The content of every version ever put, by key and ETag.
        current: The content of each object by key.
        seen: The versions that a commit has accounted for, by key and ETag.
        publications: How many the snapshot told of when it was last read.
    """

    contents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    current: dict[str, bytes] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    publications: int = 0

    def put(self, platform: Platform, chance: random.Random, number: int) -> None:
        """Put some objects: new ones, new versions, the same again, and some that are broken."""
        arriving = {}
        for _ in range(OBJECTS):
            requests = (
                credit_request(f"c{chance.randrange(200)}", number, f"01/{day:02d}/2022 10:00")
                for day in (chance.randrange(1, 29), chance.randrange(1, 29))
            )
            broken = chance.random() < 0.1
            arriving[f"{chance.randrange(60)}.json"] = document(*requests)[: -1 if broken else None]
        platform.put(arriving)
        for name, content in arriving.items():
            key = platform.bucket.key_of(name)
            etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            self.contents[key, etag] = content
            self.current[key] = content

    def assert_holds(self, connection: duckdb.DuckDBPyConnection, *, metric: bool) -> None:
        """Every object is there as one whole version, once; and so is the metric made of it."""
        checks = [*LANDING_CHECKS, *(METRIC_CHECKS if metric else ())]
        for check in checks:
            if check.blocking:
                assert find_offenders(connection, check, everything=True).first == [], check.name
        versions = connection.execute(
            "SELECT object_key, object_etag FROM object_ledger WHERE status <> 'replaced'"
        ).fetchall()
        objects = {key: self.contents[key, etag] for key, etag in versions}
        assert len(versions) == len(objects)
        assert comparison.object_differences(connection, objects) == {}
        if metric:
            assert comparison.metric_differences(connection, objects) == []
            assert comparison.restatement_differences(connection, objects) == []

    def assert_nothing_was_undone(self, connection: duckdb.DuckDBPyConnection) -> None:
        """What a commit had accounted for is still accounted for."""
        versions = connection.execute("SELECT object_key, object_etag FROM object_ledger")
        accounted_for = set(versions.fetchall())
        assert self.seen <= accounted_for
        self.seen = accounted_for

    def assert_is_no_earlier(self, snapshot: duckdb.DuckDBPyConnection) -> None:
        """No snapshot gives way to one of an earlier state."""
        ((publications,),) = snapshot.execute("SELECT count(*) FROM publications").fetchall()
        assert publications >= self.publications
        self.publications = publications

    def assert_is_complete(self, connection: duckdb.DuckDBPyConnection) -> None:
        """The last version of every object is there."""
        self.assert_holds(connection, metric=True)
        assert comparison.object_differences(connection, self.current) == {}


def _assert_whole(platform: Platform, history: History) -> None:
    """Warehouse and snapshot are there, and whole up to a commit, and up to a publication."""
    assert Path(platform.settings.warehouse).exists()
    with closing(connect_to_write(platform.settings.warehouse)) as connection:
        history.assert_holds(connection, metric=False)
        history.assert_nothing_was_undone(connection)
    with duckdb.connect(platform.settings.published, read_only=True) as connection:
        history.assert_holds(connection, metric=True)
        history.assert_is_no_earlier(connection)


def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(
    platform: Platform, run_processes: RunProcesses, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(KILLS)  # noqa: S311  no secret
    history = History()
    traces: dict[str | None, list[str]] = {}
    seconds: dict[str | None, float] = {}
    for job in (None, "full_load"):
        history.put(platform, chance, 0)
        run = run_processes.start(Order(job, trace=True))
        result = run.finish()
        assert result["success"], result["error"]
        traces[job], seconds[job] = run.trace, result["seconds"]
    for kind in CHOSEN:
        assert any(_moments_of(kind, trace) for trace in traces.values()), f"{kind} is not watched"
    killed: Counter[str] = Counter()
    kinds = cycle([*CHOSEN, RANDOM])
    attempts = 0
    while killed.total() < KILLS:
        attempts += 1
        assert attempts < 3 * KILLS, f"runs end before they are killed: {killed}"
        history.put(platform, chance, attempts)
        kind = next(kinds)
        jobs = [job for job in traces if kind == RANDOM or _moments_of(kind, traces[job])]
        job = chance.choice(jobs)
        if kind == RANDOM:
            run = run_processes.start(Order(job))
            # The moment is the point: this is no wait for anything.
            time.sleep(chance.uniform(0, seconds[job]))
        else:
            moments = _moments_of(kind, traces[job])
            moment = chance.choice(sorted(set(moments)))
            count = chance.randrange(moments.count(moment)) + 1
            hold = chance.random() < 0.7
            run = run_processes.start(Order(job, moment=moment, count=count, hold=hold))
            if run.wait_for_moment() and not hold:
                time.sleep(chance.uniform(0, 0.02))
        if run.kill():
            killed[kind] += 1
        platform.end_dead_runs()
        _assert_whole(platform, history)
        # As a rule before another run, of the other kind perhaps, could hide what this one left.
        if chance.random() < 0.7:
            assert platform.run("ingest_objects").success
            with duckdb.connect(platform.settings.published, read_only=True) as connection:
                history.assert_is_complete(connection)

    assert platform.run("ingest_objects").success
    with duckdb.connect(platform.settings.published, read_only=True) as connection:
        history.assert_is_complete(connection)
    assert (
        platform.evaluate_sensor().skip_message
        == f"Nothing new among {len(history.current)} objects."
    )
    if KILLS > 12:
        with capsys.disabled():
            print(f"\n{killed.total()} kills in {attempts} runs, all survived: {dict(killed)}")  # noqa: T201
