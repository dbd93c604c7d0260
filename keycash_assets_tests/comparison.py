"""The tables of a warehouse, compared with what the model makes of the same objects."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS, find_offenders
from keycash_assets_tests import model

_ROWS = """
SELECT object_key, record_index, record::VARCHAR, id, name, idade, credito_solicitado,
    data_solicitacao, extra::VARCHAR, problems
FROM landing_table
"""
_LEDGER = """
SELECT object_key, records, problem_records, sha256, size_bytes, error IS NOT NULL, status,
    envelope::VARCHAR
FROM object_ledger
WHERE status <> 'replaced'
"""
_FIELDS = ("id", "name", "idade", "credito_solicitado", "data_solicitacao")


def object_differences(
    connection: duckdb.DuckDBPyConnection, objects: Mapping[str, bytes]
) -> dict[str, list[str]]:
    """What is not as the model says in rows, quarantine and ledger, by object key.

    Args:
        connection: A warehouse.
        objects: Content of each object whose rows should be in it, by key.
    """
    rows, quarantine, ledger = (
        _by_key(connection, query)
        for query in (_ROWS, "SELECT object_key, line, raw FROM quarantine", _LEDGER)
    )
    differences = {}
    for key in sorted({*objects, *rows, *quarantine}):
        if key not in objects:
            found = ["has rows, but is not an object of this bucket"]
        else:
            reading = model.read(objects[key])
            found = [
                *_row_differences(sorted(rows[key], key=lambda row: row[0]), reading.elements),
                *_unequal("quarantine", _sorted(quarantine[key]), _sorted(reading.bad)),
                *_ledger_differences(ledger[key], objects[key]),
            ]
        if found:
            differences[key] = found
    return differences


def metric_differences(
    connection: duckdb.DuckDBPyConnection, objects: Mapping[str, bytes]
) -> list[str]:
    """What is not as the model says in the daily totals and in who counts for each client."""
    days = connection.execute("FROM credit_per_day ORDER BY ALL").fetchall()
    requests = connection.execute(
        "SELECT id, data_solicitacao, object_key, record_index, credito_solicitado, is_latest, "
        "superseded_by_key, superseded_by_index FROM credit_requests ORDER BY ALL"
    ).fetchall()
    winners = model.winners(objects)
    expected = []
    for key, content in objects.items():
        for index, element in enumerate(model.read(content).elements):
            found = model.request(element)
            if not found.problems:
                assert found.id is not None
                winner = winners[found.id][1:3]
                superseded_by = (None, None) if winner == (key, index) else winner
                expected.append(
                    (
                        found.id,
                        found.data_solicitacao,
                        key,
                        index,
                        found.credito_solicitado,
                        superseded_by == (None, None),
                        *superseded_by,
                    )
                )
    totals = [(day, *total) for day, total in model.credit_per_day(objects).items()]
    return [
        *_unequal("credit_per_day", days, sorted(totals)),
        *_unequal("credit_requests", _sorted(requests), _sorted(expected)),
    ]


def restatement_differences(
    connection: duckdb.DuckDBPyConnection, objects: Mapping[str, bytes]
) -> list[str]:
    """Days whose logged changes do not add up to the total that the model says they have."""
    changes = connection.execute(
        "SELECT data_solicitada, sum(coalesce(new_credito_solicitado, 0) "
        "- coalesce(old_credito_solicitado, 0)) AS total FROM credit_per_day_changes "
        "GROUP BY data_solicitada HAVING total <> 0 ORDER BY ALL"
    ).fetchall()
    totals = {day: total for day, (total, _) in model.credit_per_day(objects).items() if total}
    return [*_unequal("credit_per_day_changes", changes, sorted(totals.items()))]


def failed_checks(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """The offenders that the platform's own blocking checks find, by check, in either scope."""
    offenders = {
        check.name: [
            offender
            for everything in (False, True)
            for offender in find_offenders(connection, check, everything=everything).first
        ]
        for check in (*LANDING_CHECKS, *METRIC_CHECKS)
        if check.blocking
    }
    return {name: found for name, found in offenders.items() if found}


def _by_key(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for key, *values in connection.execute(query).fetchall():
        found[key].append(tuple(values))
    return found


def _row_differences(rows: list[tuple[Any, ...]], elements: list[str]) -> Iterable[str]:
    if [row[:2] for row in rows] != list(enumerate(elements)):
        yield from _unequal("records", [row[1] for row in rows], elements)
        yield from _unequal("record_index", [row[0] for row in rows], list(range(len(elements))))
        return
    for (index, element, *typed, extra, problems), text in zip(rows, elements, strict=True):
        expected = model.request(text)
        where = f"record {index}: {element[:500]}: "
        for name, found in zip(_FIELDS, typed, strict=True):
            yield from _unequal(where + name, found, getattr(expected, name))
        named = {problem.split(":")[0] for problem in problems} if problems is not None else set()
        yield from _unequal(where + "problems", sorted(named), sorted(expected.problems))
        found_extra = None if extra is None else model.value(extra)
        # Beyond the nesting that is read exactly, extra is the same as JSON, not as text.
        if expected.is_deep:
            found_extra, expected_extra = dict(found_extra or ()), dict(expected.extra or ())
            yield from _unequal(where + "extra", sorted(found_extra), sorted(expected_extra))
        else:
            yield from _unequal(where + "extra", found_extra, expected.extra)


def _ledger_differences(entries: list[tuple[Any, ...]], content: bytes) -> Iterable[str]:
    reading = model.read(content)
    expected = (
        len(reading.elements),
        sum(bool(model.request(element).problems) for element in reading.elements),
        hashlib.sha256(content).hexdigest(),
        len(content),
        bool(reading.bad),
    )
    yield from _unequal("ledger", [entry[:-2] for entry in entries], [expected])
    for *_, status, envelope in entries:
        if status != "deleted":
            yield from _unequal("status", status == "quarantined", reading.is_quarantined)
        yield from _unequal("envelope", _envelope(envelope), reading.envelope)


def _sorted(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """In any order that is always the same: a column may hold None."""
    return sorted(rows, key=repr)


def _envelope(text: str | None) -> object:
    """The members beside ``clientes``, which stands empty where another field stands twice."""
    if text is None:
        return None
    found = model.value(text)
    parts = [found] if isinstance(found, model.Pairs) else found
    cleaned = [model.Pairs(pair for pair in part if pair[0] != "clientes") for part in parts]
    return cleaned[0] if isinstance(found, model.Pairs) else cleaned


def _unequal(what: str, found: object, expected: object) -> Iterable[str]:
    if found != expected:
        yield f"{what}: is {_shown(found)}, should be {_shown(expected)}"


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 1_000 else f"{text[:1_000]}... ({len(text):,} characters)"
