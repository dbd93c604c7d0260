"""Any history of a bucket, loaded in any way, gives what the model says, after every step."""

import filecmp
import gzip
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import zstandard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keycash_assets.errors import WarehouseError
from keycash_assets.loading import load_again, load_everything_again, load_everything_new, load_keys
from keycash_assets.metric import update_credit_per_day
from keycash_assets.publishing import publish
from keycash_assets.warehouse import connect_to_write, create_tables, transaction
from keycash_assets_tests import comparison, hostile, model
from keycash_assets_tests.memory_bucket import MemoryBucket

KEYS = ("prefix/a.json", "prefix/b.json", "prefix/c d.json", "prefix/é.json")


def _mostly(few: list[str], traps: tuple[str, ...]) -> st.SearchStrategy[str]:
    """One of a few values, so that requests meet, and one time in ten one that is a trap."""
    return st.sampled_from([*few * (9 * len(traps) // len(few)), *traps])


clients = _mostly(["c1", "c2", "c3"], ("\\u00633", "", *hostile.STRINGS))
amounts = _mostly(["1", "10.50", "1e3"], ("0", "-1", "null", '"7.25"', *hostile.NUMBERS))
moments = _mostly(
    ["01/02/2022 10:00", "01/02/2022 10:01", "01/03/2022 09:00"],
    ("1/2/2022 10:0", "2022-01-02T13:00Z", "31/01/2022", "2021-12-31", *hostile.DATES),
)
others = st.sampled_from(
    [
        *("", "", "", "", ', "name": "N"', ', "canal": [1.10]'),
        *(', "i\\u0064": "c9"', ', "credito_solicitado": 5'),
    ]
)
records = st.builds(
    '{{"id": "{}", "credito_solicitado": {}, "data_solicitacao": "{}"{}}}'.format,
    clients,
    amounts,
    moments,
    others,
)
others_than_records = st.sampled_from(["7", "null", "[]", '"{"', *hostile.OTHERS])
# Whether a run is killed between its load and its metric.
killed = st.sampled_from([False, False, False, True])
elements = st.sampled_from([*["record"] * 9, "other"]).flatmap(
    {"record": records, "other": others_than_records}.__getitem__
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """An object of any shape that the contract allows, or of none."""
    chosen = draw(st.lists(elements, min_size=draw(st.sampled_from([0, 3, 3])), max_size=6))
    array = f"[{', '.join(chosen)}]"
    shape = draw(st.sampled_from([*["clientes", "array", "lines"] * 3, "record", "garbage"]))
    if shape == "garbage":
        return draw(st.sampled_from([b"", b"\n", b"{", b"\xff\xfe{", b"[1", b"\x1f\x8b", b"NaN"]))
    if shape == "lines":
        more = draw(st.lists(st.sampled_from(["", "{", f'{{"n": 1, "clientes": {array}}}', array])))
        text = draw(st.sampled_from(["\n", "\r\n"])).join(draw(st.permutations([*chosen, *more])))
    else:
        text = {
            "clientes": f'{{"versao": 1, "clientes": {array}}}',
            "array": array,
            "record": chosen[0] if chosen else "{}",
        }[shape]
    data = (draw(st.sampled_from(["", "\ufeff"])) + text).encode()
    packings: list[Callable[[bytes], bytes]] = [bytes, bytes, gzip.compress, zstandard.compress]
    return draw(st.sampled_from(packings))(data)


contents = st.dictionaries(st.sampled_from(KEYS), documents(), min_size=1)


class Histories(RuleBasedStateMachine):
    """A bucket whose objects come, change, break and go, and a warehouse that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = MemoryBucket()
        self.folder = tempfile.TemporaryDirectory()
        self.warehouse = str(Path(self.folder.name) / "keycash.duckdb")
        self.connection = connect_to_write(self.warehouse)
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.puts = 0
        self.past: dict[str, list[bytes]] = {}
        self.loaded: dict[str, bytes] = {}
        # The current version of each key in the ledger with its status, its content, and how many
        # of another content it replaced.
        self.current: dict[str, tuple[int, str]] = {}
        self.recorded: dict[str, bytes] = {}
        self.replaced: Counter[str] = Counter()
        self.runs = 0
        # Whether the last run came to its end: a killed one leaves the metric to the next.
        self.is_metric_up_to_date = True

    @initialize(contents=contents)
    def create(self, contents: dict[str, bytes]) -> None:
        """A warehouse that holds some objects already: histories are short."""
        create_tables(self.connection)
        self.put(contents)
        self.load_new(retract=False, ticks=1, is_killed=False)

    @rule(anew=st.booleans())
    def publish(self, anew: bool) -> None:
        """Readers get what the warehouse holds, byte by byte, whatever was published before."""
        published = Path(self.folder.name) / "published" / "keycash.duckdb"
        with ExitStack() as lease:
            try:
                publish(self.connection, self.warehouse, published, "run", lease, anew=anew)
            except WarehouseError:
                assert not self.is_metric_up_to_date
                return
        assert filecmp.cmp(self.warehouse, published, shallow=False)

    @rule()
    def reopen(self) -> None:
        """Another process goes on with the file."""
        self.connection.close()
        self.connection = connect_to_write(self.warehouse)

    @rule(contents=contents)
    def put(self, contents: dict[str, bytes]) -> None:
        """New objects, or other versions of those that are there."""
        for key, content in contents.items():
            self.bucket.put(key, content)
            self.puts += 1
            self.objects[key] = (self.puts, content)
            self.past.setdefault(key, []).append(content)

    @rule(key=st.sampled_from(KEYS), other=st.sampled_from(KEYS))
    def copy(self, key: str, other: str) -> None:
        """The same content again, under its own key or under another."""
        if key in self.objects:
            self.put({other: self.objects[key][1]})

    @rule(key=st.sampled_from(KEYS), ago=st.integers(0, 3))
    def put_back(self, key: str, ago: int) -> None:
        """A version that was there before, with the ETag that it had."""
        if past := self.past.get(key):
            self.put({key: past[-1 - ago % len(past)]})

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        """An object goes; its rows stay, or go when that is noticed, as the policy has it."""
        if self.objects.pop(key, None) is not None:
            self.bucket.delete(key)

    @rule(retract=st.booleans(), ticks=st.integers(1, 2), is_killed=killed)
    def load_new(self, retract: bool, ticks: int, is_killed: bool) -> None:
        """What bulk runs do: the second has nothing left."""
        for _ in range(ticks):
            load_everything_new(self.connection, self.bucket, self._next_run(), retract=retract)
        self._taken_in(*self.objects)
        self._listed(retract=retract)
        self._go_on_to_the_metric(is_killed=is_killed)

    @rule(keys=st.lists(st.sampled_from(KEYS)), batches=st.booleans(), is_killed=killed)
    def load_partitions(self, keys: list[str], batches: bool, is_killed: bool) -> None:
        """What a run of some partitions does, or one for each, whether they are new or not."""
        for batch in [[key] for key in keys] if batches else [keys]:
            load_keys(self.connection, self.bucket, batch, self._next_run())
        self._taken_in(*keys)
        self._go_on_to_the_metric(is_killed=is_killed)

    @rule(keys=st.lists(st.sampled_from(KEYS)), is_killed=killed)
    def replay(self, keys: list[str], is_killed: bool) -> None:
        """What a replay does, of keys that a person may have named twice."""
        load_again(self.connection, self.bucket, keys, self._next_run())
        self._taken_in(*keys, again=True)
        self._go_on_to_the_metric(is_killed=is_killed)

    @rule(retract=st.booleans())
    def load_everything(self, retract: bool) -> None:
        """What the schedule does: it must find nothing that loads before it did otherwise."""
        summary = load_everything_again(
            self.connection, self.bucket, self._next_run(), retract=retract
        )
        self._taken_in(*self.objects, again=True)
        self._listed(retract=retract)
        self.is_metric_up_to_date = True
        assert summary.differing_days == ()
        assert summary.differing_objects == ()

    @rule(order=st.permutations(KEYS), cuts=st.sets(st.integers(1, len(KEYS) - 1)))
    def load_elsewhere(self, order: list[str], cuts: set[int]) -> None:
        """Another warehouse, loaded from the same bucket in another order and other batches."""
        self.load_new(retract=True, ticks=1, is_killed=False)
        ends = [*sorted(cuts), len(order)]
        with duckdb.connect() as elsewhere:
            elsewhere.execute("SET TimeZone = 'UTC'")
            for start, end in zip([0, *ends], ends, strict=False):
                load_keys(elsewhere, self.bucket, order[start:end], "elsewhere")
                _update_metric(elsewhere, "elsewhere")
            for query in (
                "SELECT * EXCLUDE (loaded_at, run_id) FROM landing_table ORDER BY ALL",
                "FROM credit_per_day ORDER BY ALL",
                "SELECT * EXCLUDE (quarantined_at, run_id) FROM quarantine ORDER BY ALL",
            ):
                assert elsewhere.execute(query).fetchall() == self._rows(query)

    @invariant()
    def is_as_the_model_says(self) -> None:
        """Rows, quarantine, ledger and metric are those of the objects loaded, however loaded."""
        assert comparison.object_differences(self.connection, self.loaded) == {}
        if self.is_metric_up_to_date:
            assert comparison.metric_differences(self.connection, self.loaded) == []
        entries = self._rows("SELECT object_key, status, count(*) FROM object_ledger GROUP BY ALL")
        expected = Counter({(key, status): 1 for key, (_, status) in self.current.items()})
        expected.update({(key, "replaced"): count for key, count in self.replaced.items()})
        assert {(key, status): count for key, status, count in entries} == expected

    @invariant()
    def passes_every_blocking_check(self) -> None:
        """The platform's own proofs agree."""
        failed = comparison.failed_checks(self.connection)
        if not self.is_metric_up_to_date:
            failed.pop("credit_per_day_is_exact", None)
        assert failed == {}

    @invariant()
    def restatements_add_up_to_the_totals(self) -> None:
        """A total that the log does not lead to was changed in silence."""
        if not self.is_metric_up_to_date:
            return
        assert comparison.restatement_differences(self.connection, self.loaded) == []

    def teardown(self) -> None:
        """Close the warehouse, and remove it."""
        self.connection.close()
        self.folder.cleanup()

    def _taken_in(self, *keys: str, again: bool = False) -> None:
        """What a load of these keys must make of them."""
        for key in self.objects.keys() & set(keys):
            version, content = self.objects[key]
            before, status = self.current.get(key, (0, ""))
            has_rows = status in {"loaded", "unchanged"}
            if before == version and status != "deleted" and not again:
                continue
            is_quarantined = model.read(content).is_quarantined
            self.current[key] = (version, "quarantined" if is_quarantined else "loaded")
            if has_rows and self.loaded[key] == content and not again:
                self.current[key] = (version, "unchanged")
            self.replaced[key] += self.recorded.get(key, content) != content
            self.recorded[key] = self.loaded[key] = content
        self.replaced = +self.replaced

    def _listed(self, *, retract: bool) -> None:
        """What a load that lists the whole bucket must make of what is no longer there."""
        for key, (version, _) in self.current.items():
            if key not in self.objects:
                self.current[key] = (version, "deleted")
                if retract:
                    self.loaded.pop(key, None)

    def _next_run(self) -> str:
        self.runs += 1
        return f"run {self.runs}"

    def _go_on_to_the_metric(self, *, is_killed: bool) -> None:
        self.is_metric_up_to_date = not is_killed
        if not is_killed:
            _update_metric(self.connection, f"run {self.runs}")

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()


def _update_metric(connection: duckdb.DuckDBPyConnection, run_id: str) -> None:
    with transaction(connection):
        ((started,),) = connection.execute("SELECT now()").fetchall()
        update_credit_per_day(connection, run_id, started)


TestHistories = Histories.TestCase
# A fifth of what the profile has for a test of one load.
TestHistories.settings = settings(max_examples=settings().max_examples // 5)
