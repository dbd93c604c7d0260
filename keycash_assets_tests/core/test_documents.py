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
