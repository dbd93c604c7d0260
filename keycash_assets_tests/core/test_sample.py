"""The generated source files: always the same, of the real shape, and holding the hard cases."""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from keycash_assets.core.sample import sample_files

DIGEST = "d5c98ff258a5da0d34bd4dc2cc85f55b598f79865dfb70c89d84ecb28ebc3e74"
"""Of all names and contents. It changes only when somebody means the sample to change."""

PRINT_DIGEST = """
import hashlib
from keycash_assets.core.sample import sample_files
digest = hashlib.sha256()
for name, content in sample_files().items():
    digest.update(name.encode() + content)
print(digest.hexdigest())
"""


def records_by_file() -> dict[str, list[dict[str, Any]]]:
    return {
        name: json.loads(content, parse_float=Decimal)["clientes"]
        for name, content in sample_files().items()
    }


def requests_by_client() -> dict[str, list[tuple[datetime, str, dict[str, Any]]]]:
    """Each client's requests as (time, file, record)."""
    requests = defaultdict(list)
    for name, records in records_by_file().items():
        for record in records:
            requests[record["id"]].append((requested_at(record), name, record))
    return requests


def requested_at(record: dict[str, Any]) -> datetime:
    return datetime.strptime(record["data_solicitacao"], "%m/%d/%Y %H:%M")  # noqa: DTZ007  local


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_bytes_never_change_whatever_the_hash_seed_and_the_zone(seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Pacific/Kiritimati"}
    command = [sys.executable, "-c", PRINT_DIGEST]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == DIGEST


def test_there_are_50_files_of_5_records_in_the_order_of_their_names() -> None:
    files = records_by_file()
    assert list(files) == [f"credit_requests_{number:02d}.json" for number in range(50)]
    assert {len(records) for records in files.values()} == {5}


def test_every_record_is_valid_and_of_the_real_shape() -> None:
    for records in records_by_file().values():
        for record in records:
            assert list(record) == ["id", "name", "idade", "credito_solicitado", "data_solicitacao"]
            assert re.fullmatch("[0-9a-f]{32}", record["id"])
            assert record["name"]
            assert 18 <= record["idade"] < 100
            assert type(record["credito_solicitado"]) in {int, Decimal}
            assert record["credito_solicitado"] > 0
            assert record["credito_solicitado"] == round(Decimal(record["credito_solicitado"]), 2)
            assert re.fullmatch(r"\d\d/\d\d/\d{4} \d\d:\d\d", record["data_solicitacao"])


def test_id_and_name_agree_one_to_one() -> None:
    records = [record for records in records_by_file().values() for record in records]
    pairs = {(record["id"], record["name"]) for record in records}
    clients = {client for client, _ in pairs}
    assert len(pairs) == len(clients) == len({name for _, name in pairs})


def test_every_day_of_march_2022_has_a_latest_request_and_no_other_day_any() -> None:
    requests = requests_by_client().values()
    latest = {max(time for time, _, _ in of_client).day for of_client in requests}
    assert latest == set(range(1, 32))
    assert {(time.year, time.month) for of_client in requests for time, _, _ in of_client} == {
        (2022, 3)
    }


def test_a_dozen_clients_ask_two_or_three_times() -> None:
    """Without them, a metric that counts every request would pass for the right one."""
    numbers = [len(requests) for requests in requests_by_client().values()]
    assert (numbers.count(2), numbers.count(3)) == (9, 3)
    assert set(numbers) == {1, 2, 3}


def test_the_later_request_is_not_always_in_the_later_file() -> None:
    """Without this, a metric that takes the last file for the latest request would pass."""
    latest_stands_last = {
        max(requests, key=lambda request: request[:2])
        == max(requests, key=lambda request: request[1])
        for requests in requests_by_client().values()
        if len({time for time, _, _ in requests}) == len(requests) > 1
    }
    assert latest_stands_last == {True, False}


def test_requests_tie_within_one_file_and_across_two() -> None:
    """Without ties of different amounts, a winner picked by chance would pass."""
    ties = set()
    for requests in requests_by_client().values():
        latest = max(time for time, _, _ in requests)
        tied = [(name, record) for time, name, record in requests if time == latest]
        if len(tied) > 1:
            ties.add("one file" if len({name for name, _ in tied}) == 1 else "two files")
            amounts = [record["credito_solicitado"] for _, record in tied]
            assert len(set(amounts)) == len(amounts)
    assert ties == {"one file", "two files"}


def test_a_later_request_can_fall_on_another_day() -> None:
    """Without this, a metric that takes the latest request of each day would pass."""
    assert any(
        len({time.date() for time, _, _ in requests}) > 1
        for requests in requests_by_client().values()
    )


def test_amounts_with_cents_count_and_are_written_as_decimals() -> None:
    """A whole-number column, or one read through a binary float, would lose them."""
    text = b"".join(sample_files().values())
    for amount in (b'"credito_solicitado": 1234.5,', b'"credito_solicitado": 99999.99,'):
        assert text.count(amount) == 1
    assert Decimal("1234.5") in {
        max(requests, key=lambda request: request[:2])[2]["credito_solicitado"]
        for requests in requests_by_client().values()
    }


def test_accents_are_written_both_as_they_are_and_as_escapes() -> None:
    contents = sample_files().values()
    assert any("Ã".encode() in content for content in contents)
    assert any(rb"\u00c3" in content for content in contents)


def test_nothing_of_the_real_files_is_in_the_sample() -> None:
    folder = os.environ.get("KEYCASH_CHALLENGE_DIR")
    if not folder:
        pytest.skip("KEYCASH_CHALLENGE_DIR does not name the folder of the real files")
    real = [
        record
        for path in Path(folder).glob("*.json")
        for record in json.loads(path.read_bytes())["clientes"]
    ]
    invented = [record for records in records_by_file().values() for record in records]
    assert real
    for field in ("id", "name"):
        assert not {record[field] for record in real} & {record[field] for record in invented}
    real_names = {record["name"] for record in real}
    assert not real_names & {word for record in invented for word in record["name"].split()}
