"""Every spelling of every field, typed by the platform's SQL and by the model, must agree."""

import json

import duckdb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keycash_assets.loading import load_everything_new
from keycash_assets_tests import comparison, hostile, model
from keycash_assets_tests.memory_bucket import MemoryBucket

numbers = st.one_of(
    st.sampled_from(hostile.NUMBERS),
    st.integers(-(10**24), 10**24).map(str),
    st.decimals(-100, 10**17, places=3, allow_nan=False).map(lambda d: f"{d:f}"),
    st.integers(-2, 2).map(lambda cents: f"{10**18 + cents}e-2"),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
dates = st.one_of(
    st.sampled_from(hostile.DATES),
    st.datetimes().map(lambda d: d.strftime("%m/%d/%Y %H:%M")),
    st.datetimes().map(lambda d: d.isoformat(timespec="milliseconds") + "Z"),
    st.from_regex(
        r"[01]?[0-9]/[0-3]?[0-9]/20[0-9]{2} [0-2]?[0-9]:[0-6]?[0-9](:[0-6]?[0-9])?", fullmatch=True
    ),
    st.from_regex(r"20[0-3][0-9]-[0-1][0-9]-[0-3][0-9]", fullmatch=True),
    st.from_regex(
        r"(20[0-3][0-9]|19[0-9]{2}|0000|9999)-(0[1-9]|1[0-2])-[0-3][0-9]"
        r"[T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\.[0-9]{1,4})?)?"
        r"(Z|[+-][0-2][0-9](:?[0-6][0-9])?)?",
        fullmatch=True,
    ),
)
strings = st.one_of(
    st.sampled_from(hostile.STRINGS),
    st.builds(
        lambda text, escaped: json.dumps(text, ensure_ascii=escaped)[1:-1],
        st.text(st.characters(codec="utf-8"), max_size=8),
        st.booleans(),
    ),
)
# One array in which one element is not JSON is not JSON: such values have tests of their own.
others = st.sampled_from(hostile.OTHERS)


def _quoted(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return texts.map(lambda text: f'"{text}"')


texts = _quoted(strings)
any_value = st.one_of(numbers, texts, _quoted(dates), others)
values = {
    "id": st.one_of(texts, texts, any_value),
    "name": st.one_of(texts, any_value),
    "idade": st.one_of(numbers, any_value),
    "credito_solicitado": st.one_of(numbers, numbers, _quoted(numbers), any_value),
    "data_solicitacao": st.one_of(_quoted(dates), _quoted(dates), any_value),
    "data_solicitada": st.one_of(_quoted(dates), any_value),
    "outro, campo": any_value,
}
blanks = st.sampled_from(["", " ", "\n\t", "\r\n"])
other_members = st.tuples(st.sampled_from(hostile.KEYS), any_value)


@st.composite
def members(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Names and texts of the members of a record: nearly all of the fields, and any others."""
    left_out = draw(st.sets(st.sampled_from(sorted(values)), max_size=2))
    chosen = [(name, draw(values[name])) for name in values if name not in left_out]
    for member in draw(st.lists(other_members, max_size=3)):
        chosen.insert(draw(st.integers(0, len(chosen))), member)
    return chosen


@st.composite
def records(draw: st.DrawFn) -> str:
    """The text of a record, as a file may have it."""
    if draw(st.integers(0, 9)) == 0:
        return draw(any_value)
    blank = draw(blanks)
    text = ",".join(f'{blank}"{name}"{blank}:{value}' for name, value in draw(members()))
    return f"{{{text}{blank}}}"


def _dated(date: str) -> str:
    return f'{{"id": "a", "credito_solicitado": 1, "data_solicitacao": "{date}"}}'


def _of_amount(amount: str) -> str:
    return f'{{"id": "a", "credito_solicitado": {amount}, "data_solicitacao": "2022-01-01"}}'


def _assert_read_as_the_model_reads(elements: list[str]) -> None:
    content = ("[" + ", ".join(elements) + "]").encode()
    assert model.read(content).elements == elements
    bucket = MemoryBucket()
    bucket.put("prefix/a.json", content)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        load_everything_new(connection, bucket, "run")
        assert comparison.object_differences(connection, {"prefix/a.json": content}) == {}


@settings(max_examples=settings().max_examples // 3)
@given(st.lists(records(), min_size=1, max_size=40))
@example(
    # An amount was taken from inside the field after it, where members were found by their number.
    [
        f'{{"id": "a", "x": {"[" * 80 + "]" * 80}, "credito_solicitado": 1.5, '
        f'"y": {{"a": 9.99, "b": {hostile.deep(80)}}}, "data_solicitacao": "2022-01-01"}}'
    ]
)
def test_records_are_typed_as_the_contract_says(elements: list[str]) -> None:
    """A value read differently is a wrong number that nobody sees."""
    _assert_read_as_the_model_reads(elements)


def test_every_known_trap_is_read_as_the_contract_says() -> None:
    """Chance may not draw the one that a change breaks."""
    _assert_read_as_the_model_reads(
        [
            *map(_dated, hostile.DATES),
            *map(_of_amount, hostile.NUMBERS),
            *(_of_amount(f'"{text}"') for text in (*hostile.NUMBERS, *hostile.STRINGS)),
            *(f'{{"id": "{text}", "name": "{text}", "idade": 1}}' for text in hostile.STRINGS),
            *(f'{{"idade": {number}, "v": {number}}}' for number in hostile.NUMBERS),
            *(_of_amount("1.5").replace("{", f'{{"{key}": 1.10, ', 1) for key in hostile.KEYS),
            *(_of_amount("1.5").replace("}", f', "{key}": "2"}}', 1) for key in hostile.KEYS),
            *(_of_amount(f'1.5, "o": {other}') for other in hostile.OTHERS),
            *(_of_amount(f'2, "o": {other}') for other in hostile.OTHERS),
            *hostile.OTHERS,
        ]
    )


def test_what_only_resembles_json_is_set_aside_line_by_line() -> None:
    """A lenient reader makes a number of it, or stops at it."""
    lines = [
        _of_amount("1"),
        *hostile.NOT_JSON,
        *map(_of_amount, hostile.NOT_JSON),
        _of_amount("2"),
    ]
    content = "\n".join(lines).encode()
    bucket = MemoryBucket()
    bucket.put("prefix/a.json", content)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        load_everything_new(connection, bucket, "run")
        assert comparison.object_differences(connection, {"prefix/a.json": content}) == {}
        ((records,),) = connection.execute("SELECT count(*) FROM landing_table").fetchall()
    # What follows a comma or a bracket of its own in NOT_JSON makes no line valid.
    assert records == 2
