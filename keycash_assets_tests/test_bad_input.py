"""Whatever an object holds, it ends in one stated place with a stated reason; the others load.

All of these objects lie in one bucket and load in one tick of the sensor, beside a good one.
"""

import gzip
import json
from dataclasses import dataclass

import pytest

from keycash_assets_tests.platform import Platform, Row, credit_request, document

GOOD = json.dumps(credit_request("good")).encode()


@dataclass(frozen=True)
class Quarantined:
    """The whole object stands in quarantine, for a reason that begins like this."""

    reason: str


@dataclass(frozen=True)
class Loaded:
    """The object is loaded, with so many records; those that cannot count for these reasons."""

    records: int
    problems: tuple[str, ...] = ()
    bad_lines: tuple[int, ...] = ()


def _with(text: str) -> bytes:
    """A document whose one record has this text in place of its amount."""
    record = json.dumps(credit_request("c", "AMOUNT")).replace('"AMOUNT"', text)
    return f'{{"clientes": [{record}]}}'.encode()


def _dated(date: str) -> bytes:
    return document(credit_request(day=date))


def _large() -> bytes:
    padding = "x" * 5_000
    return document(*(credit_request(f"large-{n}", padding=padding) for n in range(20_500)))


CASES: dict[str, tuple[bytes, Quarantined | Loaded]] = {
    "truncated_json.json": (document(credit_request())[:-30], Quarantined("not JSON")),
    "not_json.json": (b"Dear Sir or Madam,", Quarantined("not JSON")),
    "empty.json": (b"", Quarantined("empty object")),
    "blank.json": (b" \n\t\r\n ", Quarantined("nothing but blanks")),
    "empty_array.json": (b"[]", Loaded(0)),
    "no_records.json": (b'{"clientes": []}', Loaded(0)),
    "empty_record.json": (
        b"{}",
        Loaded(1, ("id: missing", "credito_solicitado: missing", "data_solicitacao: missing")),
    ),
    "record_is_no_object.json": (b'{"clientes": [7]}', Loaded(1, ("not an object: 7",))),
    "record_is_null.json": (b'{"clientes": [null]}', Loaded(1, ("not an object: null",))),
    "missing_field.json": (
        document({"id": "c", "credito_solicitado": 1}),
        Loaded(1, ("data_solicitacao: missing",)),
    ),
    "null_fields.json": (
        document({"id": None, "credito_solicitado": None, "data_solicitacao": None}),
        Loaded(
            1,
            (
                "id: not a string: null",
                "credito_solicitado: not a number: null",
                "data_solicitacao: not a date: null",
            ),
        ),
    ),
    "number_as_string.json": (_with('"221760.50"'), Loaded(1)),
    "number_as_bad_string.json": (
        _with('"1e6"'),
        Loaded(1, ('credito_solicitado: not a number: "1e6"',)),
    ),
    "exponent.json": (_with("1e6"), Loaded(1)),
    "23_digits.json": (
        _with("12345678901234567890123"),
        Loaded(1, ("credito_solicitado: too large: 12345678901234567890123",)),
    ),
    "negative.json": (_with("-5"), Loaded(1, ("credito_solicitado: negative: -5",))),
    "three_decimals.json": (
        _with("1.005"),
        Loaded(1, ("credito_solicitado: more than two decimals: 1.005",)),
    ),
    "boolean.json": (_with("true"), Loaded(1, ("credito_solicitado: not a number: true",))),
    "nan.json": (_with("NaN"), Quarantined("not JSON")),
    "impossible_date.json": (
        _dated("02/30/2022 10:00"),
        Loaded(1, ('data_solicitacao: not a date: "02/30/2022 10:00"',)),
    ),
    "day_first_date.json": (
        _dated("31/01/2022 10:00"),
        Loaded(1, ('data_solicitacao: not a date: "31/01/2022 10:00"',)),
    ),
    "ambiguous_date.json": (
        _dated("01/02/22 10:00"),
        Loaded(1, ('data_solicitacao: not a date: "01/02/22 10:00"',)),
    ),
    "duplicate_field.json": (
        b'[{"id": "a", "id": "b", "credito_solicitado": 1, "data_solicitacao": "2022-01-01"}]',
        Loaded(1, ("duplicate field: id",)),
    ),
    "duplicate_clientes.json": (b'{"clientes": [1], "clientes": [2]}', Quarantined("the field")),
    "deep_nesting.json": (b"[" * 100_000 + b"]" * 100_000, Quarantined("nested too deeply")),
    "utf_16.json": (document(credit_request()).decode().encode("utf-16"), Quarantined("not UTF-8")),
    "latin_1.json": ('[{"name": "JOÃO"}]'.encode("latin-1"), Quarantined("not UTF-8")),
    "byte_order_mark.json": (b"\xef\xbb\xbf" + document(credit_request()), Loaded(1)),
    "nul_bytes.json": (b"\0" * 100, Quarantined("not JSON")),
    "nul_inside.json": (b'[{"id": "a\0b"}]', Quarantined("not JSON")),
    "100_megabytes.json": (_large(), Loaded(20_500)),
    "bad_line.ndjson": (b"\n".join([GOOD, b'{"id": ', GOOD]), Loaded(2, (), (2,))),
    "truncated.json.gz": (
        gzip.compress(document(credit_request()))[:-20],
        Quarantined("truncated or damaged gzip"),
    ),
    "whole.json.gz": (gzip.compress(document(credit_request())), Loaded(1)),
    'it\'s "quoted".json': (document(credit_request()), Loaded(1)),
    "with two  spaces.json": (document(credit_request()), Loaded(1)),
    "a+b=c&d?.json": (document(credit_request()), Loaded(1)),
    "crédito/日本語 🏦.json": (document(credit_request()), Loaded(1)),
    "a%2Fb%20c.json": (document(credit_request()), Loaded(1)),
    "'); DROP TABLE landing_table; --.json": (document(credit_request()), Loaded(1)),
}


@pytest.fixture(scope="module")
def loaded(module_platform: Platform) -> Platform:
    """Everything above, a good object and a folder marker, loaded by one tick of the sensor."""
    objects = {name: content for name, (content, _) in CASES.items()}
    module_platform.put({**objects, "good.json": document(credit_request()), "folder/": b""})
    run = module_platform.tick()
    assert run is not None
    assert run.success
    return module_platform


def _rows(platform: Platform, query: str, name: str) -> list[Row]:
    key = platform.bucket.key_of(name).replace("'", "''")
    return platform.published(f"{query} WHERE object_key = '{key}'")


@pytest.mark.parametrize("name", CASES)
def test_no_object_is_lost_or_lands_in_two_places(loaded: Platform, name: str) -> None:
    expected = CASES[name][1]
    ledger = _rows(loaded, "SELECT status, records, error FROM object_ledger", name)
    rows = _rows(loaded, "SELECT problems FROM landing_table", name)
    quarantine = _rows(loaded, "SELECT line, reason FROM quarantine", name)
    if isinstance(expected, Quarantined):
        ((status, records, error),) = ledger
        assert (status, records, rows) == ("quarantined", 0, [])
        ((line, reason),) = quarantine
        assert line is None
        assert reason.startswith(expected.reason)
        assert error == reason
    else:
        ((status, records, _),) = ledger
        assert (status, records, len(rows)) == ("loaded", expected.records, expected.records)
        assert tuple(line for line, _ in quarantine) == expected.bad_lines
        problems = [problem for (of_row,) in rows for problem in of_row or []]
        assert len(problems) == len(expected.problems)
        for problem, start in zip(problems, expected.problems, strict=True):
            assert problem.startswith(start)


def test_bad_objects_do_not_keep_a_good_one_from_loading(loaded: Platform) -> None:
    assert _rows(loaded, "SELECT id, problems FROM landing_table", "good.json") == [("c1", None)]


def test_a_folder_marker_is_not_taken_for_an_object(loaded: Platform) -> None:
    assert _rows(loaded, "SELECT * FROM object_ledger", "folder/") == []
    assert _rows(loaded, "SELECT * FROM object_ledger", "folder") == []


def test_every_object_is_in_the_ledger_once(loaded: Platform) -> None:
    (counts,) = loaded.published(
        "SELECT count(*), count(DISTINCT object_key) FROM object_ledger WHERE status <> 'replaced'"
    )
    assert counts == (len(CASES) + 1, len(CASES) + 1)


def test_quarantine_keeps_the_offending_bytes(loaded: Platform) -> None:
    ((raw,),) = _rows(loaded, "SELECT raw FROM quarantine", "not_json.json")
    assert raw == CASES["not_json.json"][0]
