"""Any history of a bucket, loaded in any way, gives what the model says, after every step."""

import gzip
import json
from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS, find_offenders
from keycash_assets.loading import load_again, load_everything_again, load_everything_new, load_keys
from keycash_assets.metric import update_credit_per_day
from keycash_assets.warehouse import create_tables, transaction
from keycash_assets_tests import model
from keycash_assets_tests.memory_bucket import MemoryBucket

KEYS = ("prefix/a.json", "prefix/b.json", "prefix/c d.json", "prefix/é.json")

records = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["c1", "c2", "c3", ""]),
        "credito_solicitado": st.sampled_from([0, 1, 10.5, "7.25", 1e3, -1, None, "x"]),
        "data_solicitacao": st.sampled_from(
            ["01/02/2022 10:00", "01/02/2022 10:01", "01/03/2022 09:00", "2021-12-31", "31/01/2022"]
        ),
    },
    optional={"name": st.just("N"), "extra": st.sampled_from([1.10, [1], "é"])},
).map(json.dumps)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """An object of any shape that the contract allows, or of none."""
    chosen = draw(st.lists(records | st.sampled_from(["7", "null", "[]"]), max_size=4))
    shape = draw(st.sampled_from(["clientes", "array", "lines", "bad line", "garbage", "gzip"]))
    if shape == "garbage":
        return draw(st.sampled_from([b"", b"{", b"\xff\xfe{", b"[1", b'{"clientes": [']))
    if shape in {"lines", "bad line"}:
        lines = [*chosen, "{"] if shape == "bad line" else chosen
        return "\n".join(draw(st.permutations(lines))).encode()
    text = f"[{', '.join(chosen)}]"
    if shape == "array":
        return text.encode()
    wrapped = f'{{"versao": 1, "clientes": {text}}}'.encode()
    return gzip.compress(wrapped) if shape == "gzip" else wrapped


class Histories(RuleBasedStateMachine):
    """A bucket whose objects come, change, break and go, and a warehouse that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = MemoryBucket()
        self.connection = duckdb.connect()
        self.objects: dict[str, bytes] = {}
        self.loaded: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.runs = 0

    @initialize()
    def create(self) -> None:
        """An empty warehouse."""
        self.connection.execute("SET TimeZone = 'UTC'")
        create_tables(self.connection)

    @rule(key=st.sampled_from(KEYS), content=documents())
    def put(self, key: str, content: bytes) -> None:
        """A new object, or another version of one."""
        self.bucket.put(key, content)
        self.objects[key] = content

    @rule(key=st.sampled_from(KEYS), other=st.sampled_from(KEYS))
    def copy(self, key: str, other: str) -> None:
        """The same content again, under its own key or under another."""
        if key in self.objects:
            self.put(other, self.objects[key])

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        """An object goes; its rows stay, or go when that is noticed, as the policy has it."""
        if self.objects.pop(key, None) is not None:
            self.bucket.delete(key)

    @rule(retract=st.booleans())
    def load_new(self, retract: bool) -> None:
        """What a bulk run does."""
        load_everything_new(self.connection, self.bucket, self._next_run(), retract=retract)
        self._listed(retract=retract)
        self._update_metric()

    def _listed(self, *, retract: bool) -> None:
        """What a load of the whole bucket must make of it."""
        self.loaded.update(self.objects)
        self.deleted |= set(self.loaded)
        self.deleted -= set(self.objects)
        if retract:
            for key in self.deleted & self.loaded.keys():
                del self.loaded[key]

    @rule(keys=st.sets(st.sampled_from(KEYS)))
    def load_partitions(self, keys: set[str]) -> None:
        """What a run of some partitions does, whether they are new or not."""
        load_keys(self.connection, self.bucket, sorted(keys), self._next_run())
        there = keys & self.objects.keys()
        self.loaded.update({key: self.objects[key] for key in there})
        self.deleted -= there
        self._update_metric()

    @rule(keys=st.sets(st.sampled_from(KEYS)))
    def replay(self, keys: set[str]) -> None:
        """What a replay does."""
        load_again(self.connection, self.bucket, sorted(keys), self._next_run())
        there = keys & self.objects.keys()
        self.loaded.update({key: self.objects[key] for key in there})
        self.deleted -= there
        self._update_metric()

    @rule(retract=st.booleans())
    def load_everything(self, retract: bool) -> None:
        """What the schedule does: it must find nothing that loads before it did otherwise."""
        summary = load_everything_again(
            self.connection, self.bucket, self._next_run(), retract=retract
        )
        self._listed(retract=retract)
        assert summary.differing_days == ()
        assert summary.differing_objects == ()

    @invariant()
    def is_as_the_model_says(self) -> None:
        """All tables are those of the objects loaded, however they were loaded."""
        rows = self._rows("SELECT object_key, record_index, record FROM landing_table ORDER BY ALL")
        assert rows == sorted(
            (key, index, element)
            for key, content in self.loaded.items()
            for index, element in enumerate(model.read(content).elements)
        )
        assert self._rows("SELECT object_key, line FROM quarantine ORDER BY 1, 2 NULLS FIRST") == [
            (key, line)
            for key, content in sorted(self.loaded.items())
            for line in (
                [None] if model.read(content).is_quarantined else model.read(content).bad_lines
            )
        ]
        states = dict(
            self._rows("SELECT object_key, status FROM object_ledger WHERE status <> 'replaced'")
        )
        assert states.keys() == self.loaded.keys() | self.deleted
        assert {key for key, status in states.items() if status == "deleted"} == self.deleted
        for key in self.loaded.keys() - self.deleted:
            is_quarantined = model.read(self.loaded[key]).is_quarantined
            assert (states[key] == "quarantined") == is_quarantined
        days = self._rows(
            "SELECT data_solicitada, credito_solicitado, requests FROM credit_per_day"
        )
        assert {day: (total, requests) for day, total, requests in days} == (
            model.credit_per_day(self.loaded)
        )
        assert len(days) == len({day for day, _, _ in days})
        latest = self._rows(
            "SELECT id, data_solicitacao, object_key, record_index, credito_solicitado "
            "FROM credit_requests WHERE is_latest"
        )
        assert {client: tuple(winner) for client, *winner in latest} == model.winners(self.loaded)

    @invariant()
    def passes_every_blocking_check(self) -> None:
        """The platform's own proofs agree."""
        for check in (*LANDING_CHECKS, *METRIC_CHECKS):
            if check.blocking:
                assert find_offenders(self.connection, check)[1] == [], check.name

    @invariant()
    def restatements_add_up_to_the_totals(self) -> None:
        """A total that the log does not lead to was changed in silence."""
        changes = self._rows(
            "SELECT data_solicitada, coalesce(new_credito_solicitado, 0) "
            "- coalesce(old_credito_solicitado, 0) FROM credit_per_day_changes"
        )
        summed: dict[Any, Decimal] = {}
        for day, change in changes:
            summed[day] = summed.get(day, Decimal(0)) + change
        totals = {day: total for day, (total, _) in model.credit_per_day(self.loaded).items()}
        assert {day: total for day, total in summed.items() if total} == {
            day: total for day, total in totals.items() if total
        }

    def teardown(self) -> None:
        """Close the warehouse."""
        self.connection.close()

    def _next_run(self) -> str:
        self.runs += 1
        return f"run {self.runs}"

    def _update_metric(self) -> None:
        with transaction(self.connection):
            started = self._rows("SELECT now()")[0][0]
            update_credit_per_day(self.connection, f"run {self.runs}", started)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=15)
