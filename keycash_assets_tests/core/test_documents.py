import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keycash_assets.core import documents
from keycash_assets.core.documents import Content, read_parts


def _read(data: Content) -> tuple[list[bytes], list[tuple[int | None, bytes, str]]]:
    """The elements of an object, and what is not JSON in it."""
    parts = list(read_parts(data))
    elements = [bytes(memoryview(element)) for part in parts for element in part.elements]
    return elements, [(bad.line, bad.raw, bad.reason) for part in parts for bad in part.not_json]


def test_a_number_of_thousands_of_digits_beside_the_records_does_not_stop_the_load() -> None:
    """Python refuses to convert it; one such object kept all others from loading."""
    assert _read(b'{"lote": ' + b"7" * 5_000 + b', "clientes": [1]}') == ([b"1"], [])


def test_records_behind_a_second_clientes_are_not_lost() -> None:
    """They were taken for a field of a single record."""
    text = b'{"clientes": [1, 2], "clientes": 3}'
    assert _read(text) == ([], [(None, text, "the field 'clientes' stands twice")])


def test_two_fields_clientes_without_records_are_a_record() -> None:
    """Nothing is lost with them: they stand in its text."""
    text = b'{"clientes": {}, "clientes": "[1]"}'
    assert _read(text) == ([text], [])


def test_a_line_nested_too_deeply_does_not_take_the_others_along() -> None:
    """The whole object was quarantined, with every record in it."""
    deep = b'{"id": ' + b"[" * 50_000 + b'"]"' + b"]" * 50_000 + b"}"
    elements, bad = _read(deep + b'\n{"id": "a"}\n')
    assert elements == [b'{"id": "a"}']
    assert bad == [(1, deep[: 64 * 1024], "nested too deeply to be read")]
    assert _read(b"\n" + deep + b"\n")[0] == []


def test_only_the_white_space_of_json_stands_between_clientes_and_its_records() -> None:
    """A document with a form feed is no more JSON than one with a letter there."""
    for text in (b'{\x0b"clientes": [1]}', b'{"clientes": [1]\x0c}'):
        elements, ((line, raw, _),) = _read(text)
        assert (elements, line, raw) == ([], None, text)


def test_quarantine_keeps_the_bytes_of_the_object_as_they_are_stored() -> None:
    """Without its byte-order mark, or unpacked, it could not be compared with the object."""
    for stored in (b"\xef\xbb\xbfx", b"\xef\xbb\xbf\nx\ny"):
        assert _read(stored)[1][0][:2] == (None, stored)


# Brackets and commas in strings, and objects within objects, are where an array is cut wrongly.
_texts = st.recursive(
    st.sampled_from(
        ["0", "-1.5e3", "null", '""', '"},{"', '"\\"]["', '"\\\\"', '"é, {"', "{}", "[]"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda texts: f"[{', '.join(texts)}]"),
        st.lists(inner, max_size=4).map(
            lambda texts: "{" + ",".join(f'"k{n}" : {text}' for n, text in enumerate(texts)) + "}"
        ),
    ),
)
_damage = st.tuples(st.integers(0, 2_000), st.integers(0, 4), st.sampled_from(["", ",", "]", '"']))


@given(
    elements=st.lists(_texts, max_size=40),
    comma=st.sampled_from([",", " ,", ",\n", " , "]),
    damage=st.none() | _damage,
    part_bytes=st.integers(2, 60),
)
def test_an_array_is_cut_where_its_elements_end(
    elements: list[str], comma: str, damage: tuple[int, int, str] | None, part_bytes: int
) -> None:
    """A wrong cut would lose records, make two of one, or take what is no array for one."""
    array = f"[{comma.join(elements)}]"
    if damage is not None:
        position, length, put = damage
        assume(position < len(array))
        array = array[:position] + put + array[position + length :]
    text = array.encode()
    assume(text.strip(b" \n")[:1] == b"[")
    elements_of_whole, bad_of_whole = _read(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "PART_BYTES", part_bytes)
        patch.setattr(documents, "WHOLE_BYTES", part_bytes)
        patch.setattr(documents, "_KEPT_ELEMENTS", 5)
        elements_of_parts, bad_of_parts = _read(text)
    assert elements_of_parts == elements_of_whole
    assert [bad[:2] for bad in bad_of_parts] == [bad[:2] for bad in bad_of_whole]


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can reach without gigabytes."""
    limits = {
        "PART_BYTES": 16,
        "WHOLE_BYTES": 16,
        "MAX_RECORD_BYTES": 100,
        "MAX_LINE_BYTES": 100,
        "MAX_ENVELOPE_BYTES": 60,
        "MAX_FRAMED_BYTES": 1_000,
    }
    for name, value in limits.items():
        monkeypatch.setattr(documents, name, value)


_LARGEST = b'"' + b"x" * 98 + b'"'
_TOO_LARGE = b'"' + b"x" * 99 + b'"'


@pytest.mark.usefixtures("small_limits")
def test_a_record_is_as_large_as_it_may_be_wherever_it_stands() -> None:
    """One record of gigabytes takes several times as much memory to read and type."""
    reason = "a record of more than 100 bytes"
    for before, after in (
        (b"", b""),
        (b"[", b"]"),
        (b"[1, ", b", 2, 3, 4, 5, 6, 7, 8, 9, 10]"),
        (b'{"clientes": [', b"]}"),
        (b'{"lote": 1, "clientes": [', b"]}"),
    ):
        assert _LARGEST in _read(before + _LARGEST + after)[0]
        text = before + _TOO_LARGE + after
        assert _read(text) == ([], [(None, text, reason)])


@pytest.mark.usefixtures("small_limits")
def test_a_line_that_is_too_large_does_not_take_the_others_along() -> None:
    """A text without line ends, such as a document cut short, was held several times over."""
    endless = b"x" * 10_000
    elements, bad = _read(b"1\n" + endless + b"\n" + _LARGEST + b"\n2")
    assert elements == [b"1", _LARGEST, b"2"]
    ((line, raw, reason),) = bad
    assert (line, reason) == (2, "a line of more than 100 bytes")
    assert endless.startswith(raw)
    assert 100 < len(raw) < 200
    assert [line for line, *_ in _read(b"1\n" + endless)[1]] == [2]
    for count, why in (
        (200, "not JSON: it ends too early"),
        (300, "more than 1,000 bytes: cut short, or with more than 'clientes' in it"),
    ):
        cut_short = b'{"clientes": [' + b"{}, " * count
        assert _read(cut_short) == ([], [(None, cut_short, why)])


@pytest.mark.usefixtures("small_limits")
def test_fields_beside_the_records_are_bounded() -> None:
    """They are kept whole in the ledger, and were kept whole in memory before."""
    frame = b'{"n": "%s", "clientes": [1]}'
    assert _read(frame % (b"x" * 30)) == ([b"1"], [])
    document = frame % (b"x" * 60)
    reason = "fields beside 'clientes' of more than 60 bytes"
    assert _read(document) == ([], [(None, document, reason)])
    lines = b"\n".join([frame % (b"x" * 30)] * 4)
    elements, bad = _read(lines)
    assert elements == [b"1", b"1"]
    reason = "with this line the fields beside 'clientes' have more than 100 bytes"
    assert [(line, why) for line, _, why in bad] == [(3, reason), (4, reason)]
    records = b", ".join([b"1"] * 500)
    document = b'{"n": 1, "clientes": [' + records + b"]}"
    reason = "more than 1,000 bytes: cut short, or with more than 'clientes' in it"
    assert _read(document) == ([], [(None, document, reason)])
    assert len(_read(b'{"clientes": [' + records + b"]}")[0]) == 500


@pytest.mark.usefixtures("small_limits")
def test_a_comma_too_many_is_no_json_wherever_an_array_is_cut() -> None:
    """Closed behind the comma, a part of it would be an array like any other."""
    numbers = b"1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    for text in (b"[" + numbers + b",]", b"[," + numbers + b"]", b"[1,," + numbers + b"]"):
        elements, ((line, _, reason),) = _read(text)
        assert (elements, line) == ([], None)
        assert reason.startswith("not JSON: ")
    assert len(_read(b"[" + numbers + b"]")[0]) == 12
