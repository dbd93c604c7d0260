"""The `keycash` command, as a person types it, on a machine where nothing is set."""

from pathlib import Path

import obstore
import pytest

from keycash_assets.bucket import bucket_of
from keycash_assets.cli import main
from keycash_assets.local.object_store_server import LocalObjectStoreServer
from keycash_assets.settings import Settings
from keycash_assets.sources import fetch_source_files
from keycash_assets.uploading import upload
from keycash_assets_tests.living_platform import keycash
from keycash_assets_tests.platform import credit_request, document

SAMPLE_TOTAL = "Total 58,640,025.49 over 31 days"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after two runs of the sample: the same table twice, and nothing loaded twice."""
    home = tmp_path_factory.mktemp("cli") / "home"
    first = keycash(home, "run")
    assert first.returncode == 0, first.stderr
    assert "Loading 50 new objects" in first.stdout
    assert SAMPLE_TOTAL in first.stdout
    second = keycash(home, "run")
    assert second.returncode == 0, second.stderr
    assert "Loading 0 new objects" in second.stdout
    table = first.stdout[first.stdout.index("credit_per_day (BRL)") :]
    assert second.stdout.endswith(table)
    return home


def test_run_prints_every_day_and_every_check(home: Path) -> None:
    printed = keycash(home, "run").stdout
    assert sum(line.startswith("│ 2022-03-") for line in printed.splitlines()) == 31
    assert printed.count("✓") == 9


def test_explain_leads_from_a_total_to_files_and_superseded_requests(home: Path) -> None:
    printed = keycash(home, "explain", "2022-03-05").stdout
    assert "2022-03-05: " in printed
    assert "They count" in printed
    assert "They were superseded" in printed
    assert "How the total came to be" in printed
    assert "credit_requests/credit_requests_" in printed


def test_explain_of_a_day_without_requests_says_so(home: Path) -> None:
    done = keycash(home, "explain", "1999-01-01")
    assert done.returncode != 0
    assert "No request is dated 1999-01-01." in done.stderr


def test_plan_shows_what_would_change_and_writes_nothing(home: Path, tmp_path: Path) -> None:
    snapshot = home / "published" / "keycash.duckdb"
    before = snapshot.read_bytes()
    assert "Nothing new" in keycash(home, "plan").stdout
    sample = (home / "raw_files" / "credit_requests_00.json").read_bytes()
    source = tmp_path / "source"
    source.mkdir()
    (source / "credit_requests_00.json").write_bytes(sample.replace(b"2022", b"2021"))
    (source / "broken.json").write_bytes(b"{")
    with LocalObjectStoreServer(home / "object_store").running():
        settings = Settings.from_environment({"KEYCASH_HOME": str(home)})
        upload(bucket_of(settings, {}), fetch_source_files(str(source), tmp_path / "x").files)
        printed = keycash(home, "plan").stdout
    assert "quarantine" in printed
    assert "replace" in printed
    assert "2021-03-" in printed
    assert snapshot.read_bytes() == before


def test_replay_changes_nothing_that_files_do_not_say(home: Path) -> None:
    done = keycash(home, "replay", "credit_requests_01.json")
    assert done.returncode == 0, done.stderr
    assert "Replaying 1 objects" in done.stdout
    assert "Nothing to replay" in keycash(home, "replay", "--quarantined").stdout


def test_what_stands_in_quarantine_is_opened_again_beside_what_has_been_deleted(
    tmp_path: Path,
) -> None:
    """One broken object that was deleted would be missing, and keep all others from a replay."""
    home, source = tmp_path / "home", tmp_path / "source"
    source.mkdir()
    for name in ("broken", "gone"):
        (source / f"{name}.json").write_bytes(b"{")
    (source / "good.json").write_bytes(document(credit_request("\x1b[2J[red]c1", 7)))
    loaded = keycash(home, "run", KEYCASH_SOURCE=str(source))
    assert loaded.returncode == 0, loaded.stderr
    printed = keycash(home, "explain", "2022-01-02").stdout
    assert r"\x1b[2J[red]c1" in printed, "a terminal would obey what a file says"
    with LocalObjectStoreServer(home / "object_store").running():
        settings = Settings.from_environment({"KEYCASH_HOME": str(home)})
        bucket = bucket_of(settings, {})
        obstore.delete(bucket._store, bucket.key_of("gone.json"))
    done = keycash(home, "replay", "--quarantined")
    assert done.returncode == 0, done.stderr
    assert "left as they are: credit_requests/gone.json" in done.stdout
    assert "Replaying 1 objects" in done.stdout


def test_replay_of_an_object_that_is_not_there_says_so(home: Path) -> None:
    done = keycash(home, "replay", "nowhere.json")
    assert done.returncode != 0
    assert "Not in s3://keycash/credit_requests: nowhere.json" in done.stderr


def test_status_says_what_is_published_and_what_is_not_up(home: Path) -> None:
    printed = keycash(home, "status").stdout
    assert "The platform is not up" in printed
    assert "58,640,025.49 BRL over 31 days" in printed


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_teaches_every_command_even_with_a_wrong_setting(tmp_path: Path, command: str) -> None:
    done = keycash(tmp_path, command, "--help", KEYCASH_OBJECTS_URL="not an address")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 4
    assert command in keycash(tmp_path, "--help").stdout


def test_a_day_that_is_none_is_refused_in_words_that_people_use(tmp_path: Path) -> None:
    done = keycash(tmp_path, "explain", "30/01/2022")
    assert done.returncode != 0
    assert "explain [OPTIONS] DAY" in done.stderr


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"KEYCASH_OBJECTS_URL": "https://bucket"}, "write s3://bucket/prefix"),
        ({"KEYCASH_SOURCE": "nowhere"}, "The source files were not uploaded: KEYCASH_SOURCE is"),
        ({"KEYCASH_WAREHOUSE": "md:"}, "name a database"),
    ],
)
def test_a_wrong_setting_ends_in_a_sentence_and_not_in_a_traceback(
    tmp_path: Path, variables: dict[str, str], message: str
) -> None:
    done = keycash(tmp_path / "home", "run", **variables)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
