"""Mutants: valid documents, damaged at random, always the same for the same seed."""

import functools
import gzip
import random
import re
from collections.abc import Callable

import zstandard

from keycash_assets_tests import hostile

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[a-z]+|[\[\]{}:,]|\s+', re.DOTALL)
_MEMBER = re.compile(
    rb'"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|\[[^\[\]]*\]|\{[^{}]*\}|[^\[\]{},\s]+)',
    re.DOTALL,
)
_VALUE_OF = re.compile(
    rb'("(id|name|idade|credito_solicitado|data_solicita[a-z]*)"\s*:\s*)("(?:[^"\\]|\\.)*"|[^,}\s]+)'
)
_CHUNKS = (
    *(b'"', b"'", b"\\", b"\\u", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r", b"\r\n", b"\t"),
    *(b"\0", b"\x01", b"\x0b", b"\x1b", b"\x7f", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xff"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xe2\x80\xa8"),
    *(b"\xf4\x90\x80\x80", b"\xf0\x9f\x8f\xa6", b"0", b"-", b".", b"e", b"NaN", b"null", b"//"),
)


def mutant(seed: str) -> bytes:
    """A document after one to four mutations; most of what it holds is still as it was."""
    chance = random.Random(seed)  # noqa: S311  no secret
    data = chance.choice(_documents())
    for _ in range(chance.choice((1, 1, 2, 2, 3, 4))):
        data = chance.choice(_MUTATIONS)(data, chance)
    return data


@functools.cache
def _documents() -> list[bytes]:
    return hostile.documents()


def _text(chance: random.Random) -> str:
    """A JSON value of any kind, or nearly."""
    kind = chance.randrange(10)
    if kind < 3:
        return chance.choice(hostile.NUMBERS)
    if kind < 5:
        return f'"{chance.choice(hostile.STRINGS)}"'
    if kind < 7:
        return f'"{chance.choice(hostile.DATES)}"'
    return chance.choice(hostile.OTHERS if kind < 9 else hostile.NOT_JSON)


def _span(data: bytes, chance: random.Random, longest: int = 200) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.randrange(longest + 1))


def _flip_a_bit(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _insert_a_chunk(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(_CHUNKS) + data[at:]


def _overwrite_with_noise(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance, 8)
    return data[:start] + chance.randbytes(end - start) + data[end:]


def _drop(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + data[end:]


def _truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _behead(data: bytes, chance: random.Random) -> bytes:
    return data[chance.randrange(len(data) + 1) :]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:end] + data[start:end] * chance.randrange(1, 4) + data[end:]


def _splice(data: bytes, chance: random.Random) -> bytes:
    other = chance.choice(_documents())
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _join(data: bytes, chance: random.Random) -> bytes:
    joint = chance.choice((b"", b" ", b"\n", b"\r\n", b"\n\n", b"\r", b",\n", b"\x0b"))
    return data + joint + chance.choice(_documents())


def _swap_quotes(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    quote = chance.choice((b"'", b"", b'\\"', b'""', "“".encode(), b"`"))
    return data[:start] + data[start:end].replace(b'"', quote) + data[end:]


def _with_token(change: Callable[[bytes, random.Random], bytes]) -> Callable[..., bytes]:
    """Change one token of the text."""

    def mutate(data: bytes, chance: random.Random) -> bytes:
        tokens = list(_TOKEN.finditer(data[:20_000]))
        if not tokens:
            return data
        start, end = chance.choice(tokens).span()
        return data[:start] + change(data[start:end], chance) + data[end:]

    return mutate


def _break_a_line(token: bytes, chance: random.Random) -> bytes:
    return token + chance.choice((b"\n", b"\r\n", b" ", b"\t\n"))


def _change_a_value(data: bytes, chance: random.Random) -> bytes:
    """Put another value in place of one of the five fields', as a rule one of its own kind."""
    found = list(_VALUE_OF.finditer(data))
    if not found:
        return data
    chosen = chance.choice(found)
    kinds = {
        b"id": [f'"{text}"' for text in hostile.STRINGS],
        b"name": [f'"{text}"' for text in hostile.STRINGS],
        b"idade": hostile.NUMBERS,
        b"credito_solicitado": [
            *hostile.NUMBERS,
            *(f'"{text}"' for text in (*hostile.NUMBERS, *hostile.STRINGS)),
        ],
    }
    texts = kinds.get(chosen[2], [f'"{text}"' for text in hostile.DATES])
    text = chance.choice(texts) if chance.random() < 0.8 else _text(chance)
    return data[: chosen.start(3)] + text.encode() + data[chosen.end(3) :]


def _rename_a_key(data: bytes, chance: random.Random) -> bytes:
    found = list(re.finditer(rb'"((?:[^"\\]|\\.)*)"\s*:', data))
    if not found:
        return data
    start, end = chance.choice(found).span(1)
    return data[:start] + chance.choice(hostile.KEYS).encode() + data[end:]


def _add_a_member(data: bytes, chance: random.Random) -> bytes:
    """Add one beside another: a copy of it, or one with a hostile key or value."""
    found = list(_MEMBER.finditer(data))
    if not found:
        return data
    chosen = chance.choice(found)
    copy = f'"{chance.choice(hostile.KEYS)}": {_text(chance)}'.encode()
    if chance.random() < 0.3:
        copy = chance.choice(found)[0]
    if chance.random() < 0.5:
        return data[: chosen.start()] + copy + b", " + data[chosen.start() :]
    return data[: chosen.end()] + b", " + copy + data[chosen.end() :]


def _nest(token: bytes, chance: random.Random) -> bytes:
    # 50,000 levels are deeper than any reader follows.
    levels = chance.choice((1, 1, 1, 2, 2, 3, 3, 62, 63, 64, 65, 100, 150, 50_000))
    return hostile.deep(levels, token.decode("utf-8", "replace")).encode()


def _wrap(data: bytes, chance: random.Random) -> bytes:
    before, after = chance.choice(
        (
            (b"[", b"]"),
            (b'{"clientes": [', b"]}"),
            (b'{"clientes": ', b"}"),
            (b'{"lote": 1, "clientes": ', b', "lote": 2}'),
            (b'{"lote": ' + chance.choice(hostile.NUMBERS).encode() + b', "clientes": ', b"}"),
            (b'{"clientes": [], "clientes": ', b"}"),
            (b'{"clientes": 1, "clientes": ', b"}"),
            (b'{"clientes": ', b', "clientes": 1}'),
            (b'{"a": ', b"}"),
            (b" \n\t", b"\r\n "),
            (b"\n{\n", b""),
            (b"", b"\n{"),
            (b"x\n", b"\n"),
        )
    )
    return before + data + after


def _compress(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return gzip.compress(data, mtime=0)
    return zstandard.ZstdCompressor(write_checksum=chance.random() < 0.5).compress(data)


def _damage_compressed(data: bytes, chance: random.Random) -> bytes:
    packed = _compress(data, chance)
    damage = chance.choice(
        (_truncate, _flip_a_bit, _drop, _repeat, _insert_a_chunk, _overwrite_with_noise)
    )
    return damage(packed, chance)


def _add_to_compressed(data: bytes, chance: random.Random) -> bytes:
    more = (
        _compress(data, chance),
        b"\0",
        b"\0" * 600,
        b"\n",
        b"{}",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
    )
    return _compress(data, chance) + chance.choice(more)


def _encode_otherwise(data: bytes, chance: random.Random) -> bytes:
    encoding = chance.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1"))
    return data.decode("utf-8", "replace").encode(encoding, "replace")


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip_a_bit, _insert_a_chunk, _overwrite_with_noise, _drop, _truncate, _behead, _repeat),
    *(_splice, _join, _swap_quotes, _rename_a_key, _rename_a_key, _add_a_member, _add_a_member),
    *(_change_a_value,) * 12,
    _with_token(lambda token, chance: b""),
    _with_token(lambda token, chance: token * chance.randrange(2, 4)),
    _with_token(lambda token, chance: _text(chance).encode()),
    _with_token(lambda token, chance: chance.choice(hostile.NOT_JSON).encode()),
    _with_token(_break_a_line),
    _with_token(_nest),
    *(_wrap, _wrap, _compress, _damage_compressed, _add_to_compressed),
    _encode_otherwise,
)
