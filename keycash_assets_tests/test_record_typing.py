"""Every spelling of every field, typed by the platform's SQL and by the model, must agree."""

import json

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keycash_assets.loading import load_everything_new
from keycash_assets_tests import model
from keycash_assets_tests.memory_bucket import MemoryBucket

numbers = st.one_of(
    st.integers(-(10**24), 10**24).map(str),
    st.decimals(-100, 10**17, places=3, allow_nan=False).map(lambda d: f"{d:f}"),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["-0", "0.00", "1e2", "1.10", "100e-2", "1e-2", "9999999999999999.99", "1e16"]),
)
dates = st.one_of(
    st.datetimes().map(lambda d: d.strftime("%m/%d/%Y %H:%M")),
    st.from_regex(
        r"[0-9]{1,2}/[0-9]{1,2}/20[0-9]{2} [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", fullmatch=True
    ),
    st.from_regex(r"20[0-3][0-9]-[0-1][0-9]-[0-3][0-9]", fullmatch=True),
    st.from_regex(
        r"20[0-3][0-9]-(0[1-9]|1[0-2])-[0-3][0-9]"
        r"[T ][0-2][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,3})?)?"
        r"(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?",
        fullmatch=True,
    ),
    st.sampled_from(
        ["02/29/2024 00:00", "02/29/2023 00:00", "2022-01-01T24:00", "", "01/02/22 1:00"]
    ),
)
strings = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
others = st.sampled_from(["null", "true", "false", "[]", "{}", "[1, 2]", '{"id": "inner"}', '""'])


def _spelled(text: str, escaped: bool) -> str:
    return json.dumps(text, ensure_ascii=escaped)


texts = st.builds(_spelled, strings, st.booleans())
values = {
    "id": st.one_of(texts, texts, numbers, others),
    "name": st.one_of(texts, numbers, others),
    "idade": st.one_of(numbers, texts, others),
    "credito_solicitado": st.one_of(numbers, numbers, numbers.map(json.dumps), texts, others),
    "data_solicitacao": st.one_of(dates.map(json.dumps), texts, numbers, others),
    "data_solicitada": st.one_of(dates.map(json.dumps), texts, numbers, others),
    "outro, campo": st.one_of(numbers, texts, others),
}
members = st.sampled_from(sorted(values)).flatmap(
    lambda name: st.tuples(st.just(name), values[name])
)
blanks = st.sampled_from(["", " ", "\n\t"])


@st.composite
def records(draw: st.DrawFn) -> str:
    """The text of a record, as a file may have it."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(numbers, texts, others))
    if draw(st.booleans()):
        chosen = [(name, draw(of_name)) for name, of_name in values.items()]
    else:
        chosen = draw(st.lists(members, max_size=8))
    blank = draw(blanks)
    return (
        "{" + ",".join(f"{blank}{json.dumps(name)}{blank}:{value}" for name, value in chosen) + "}"
    )


@settings(max_examples=100)
@given(st.lists(records(), min_size=1, max_size=25))
@example(['{"id": "a", "credito_solicitado": -0, "data_solicitacao": "2022-01-01"}'])
@example(['{"id": "a", "credito_solicitado": -0.0, "data_solicitacao": "2022-01-01"}'])
def test_records_are_typed_as_the_contract_says(texts_of_records: list[str]) -> None:
    """A value read differently is a wrong number that nobody sees."""
    content = ("[" + ", ".join(texts_of_records) + "]").encode()
    bucket = MemoryBucket()
    bucket.put("prefix/a.json", content)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        load_everything_new(connection, bucket, "run")
        rows = connection.execute(
            "SELECT record, id, name, idade, credito_solicitado, data_solicitacao, "
            "problems IS NULL FROM landing_table ORDER BY record_index"
        ).fetchall()
    assert [row[0] for row in rows] == model.read(content).elements == texts_of_records
    for text, row in zip(texts_of_records, rows, strict=True):
        expected = model.request(text)
        assert row[6] == expected.is_valid, text
        if expected.is_valid:
            assert row[1:6] == (
                expected.id,
                expected.name,
                expected.idade,
                expected.credito_solicitado,
                expected.data_solicitacao,
            ), text
