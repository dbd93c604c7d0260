"""One writer at a time, released on every path; clear errors where it cannot be had."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest

from keycash_assets import warehouse
from keycash_assets.bucket import Bucket
from keycash_assets.commands.explain import explain
from keycash_assets.commands.status import status
from keycash_assets.errors import WarehouseError, WarehouseLockedError
from keycash_assets.resources import Warehouse
from keycash_assets.settings import Settings
from keycash_assets.warehouse import (
    connect_to_write,
    create_tables,
    published_connection,
    transaction,
)
from keycash_assets_tests.platform import Platform, credit_request, document

HOLDER = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "warehouse.duckdb")


@pytest.fixture
def holder(database: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the warehouse until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_writer_waits_for_another_one_and_says_for_whom(
    database: str, holder: "subprocess.Popen[str]"
) -> None:
    told: list[str] = []

    def log(message: str) -> None:
        told.append(message)
        if len(told) == 2:
            holder.communicate("done\n")

    connect_to_write(database, 60, log).close()
    assert f"process {holder.pid}" in told[0]


def test_the_wait_is_bounded_and_names_the_holder(
    database: str, holder: "subprocess.Popen[str]"
) -> None:
    with pytest.raises(WarehouseLockedError, match=f"held by process {holder.pid}"):
        connect_to_write(database, 0.2)


def test_a_file_that_is_no_database_is_an_error_and_not_a_wait(database: str) -> None:
    Path(database).write_bytes(b"not a database" * 1_000)
    with pytest.raises(WarehouseError, match="Cannot open the warehouse"):
        connect_to_write(database)


def test_an_exception_releases_the_warehouse(database: str) -> None:
    """A connection left to the garbage collector keeps the next run waiting."""
    resource = Warehouse(database=database, published="unused")
    with pytest.raises(ZeroDivisionError), resource.get_connection():
        raise ZeroDivisionError
    _open_in_another_process(database)


def test_a_failed_run_releases_the_warehouse(platform: Platform) -> None:
    platform.put({"a.json": document(credit_request())})
    assert platform.tick() is not None
    platform.damage("DELETE FROM landing_table")
    assert not platform.run("ingest_objects").success
    _open_in_another_process(platform.settings.warehouse)


def _open_in_another_process(database: str) -> None:
    program = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", program, database], check=True)


def test_a_warehouse_of_another_version_says_what_to_do(database: str) -> None:
    """DuckDB would say, in the middle of a load, that it does not know some column."""
    with connect_to_write(database) as connection:
        create_tables(connection)
        create_tables(connection)
        connection.execute("ALTER TABLE load_history DROP COLUMN published_at")
        with pytest.raises(
            WarehouseError, match=r"load_history .* \(published_at\)\. Move it away"
        ):
            create_tables(connection)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_transaction_that_is_interrupted_leaves_nothing(
    database: str, error: type[BaseException]
) -> None:
    connection = connect_to_write(database)
    connection.execute("CREATE TABLE t (n INTEGER)")

    def insert_and_fail() -> None:
        with transaction(connection):
            connection.execute("INSERT INTO t VALUES (1)")
            raise error

    with pytest.raises(error):
        insert_and_fail()
    assert connection.execute("FROM t").fetchall() == []
    connection.close()


def test_nothing_is_published_before_the_first_publication(settings: Settings) -> None:
    with published_connection(settings) as connection:
        assert connection.execute("SELECT count(*) FROM object_ledger").fetchall() == [(0,)]


def test_a_snapshot_without_its_tables_is_an_error_of_ours(settings: Settings) -> None:
    """Neither an empty ledger, after which all would load again, nor DuckDB's own error."""
    settings.published.parent.mkdir(parents=True)
    duckdb.connect(settings.published).close()
    with (
        pytest.raises(WarehouseError, match="cannot be read"),
        published_connection(settings) as connection,
    ):
        connection.execute("FROM object_ledger")


@pytest.fixture
def motherduck(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """A platform on an empty MotherDuck database, for which a local file stands in.

    MotherDuck's service cannot run here. A file behaves as its databases do in what these tests
    are about: every reader sees each committed transaction, and at first there are no tables.
    """

    def connect(database: str) -> duckdb.DuckDBPyConnection:
        assert database == "md:keycash"
        connection = duckdb.connect(tmp_path / "service.duckdb")
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    monkeypatch.setattr(warehouse, "_connect_to_motherduck", connect)
    settings = Settings.from_environment({**environment, "KEYCASH_WAREHOUSE": "md:keycash"})
    with Platform.start(
        settings, Bucket(environment["KEYCASH_OBJECTS_URL"], environment)
    ) as started:
        yield started


def test_readers_of_an_empty_motherduck_database_see_empty_tables(
    motherduck: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first tick and the first command came before any run that creates the tables."""
    status(motherduck.settings)
    assert "Nothing has been published yet" in capsys.readouterr().out
    assert motherduck.evaluate_sensor().skip_message == "Nothing new among 0 objects."
    motherduck.put({"a.json": document(credit_request(amount=12))})
    run = motherduck.tick()
    assert run is not None
    assert run.success
    explain(motherduck.settings, date(2022, 1, 2))
    assert "12.00 BRL" in capsys.readouterr().out
    assert motherduck.tick() is None


def test_reading_motherduck_does_not_write_once_the_tables_are_there(
    motherduck: Platform,
) -> None:
    """Creating them anew at every tick would meet the transaction of a run."""
    motherduck.evaluate_sensor()
    with connect_to_write("md:keycash") as run, transaction(run):
        create_tables(run)
        assert motherduck.evaluate_sensor().skip_message == "Nothing new among 0 objects."


def test_the_sensor_says_why_it_cannot_read_motherduck(motherduck: Platform) -> None:
    """A raw DuckDB error is a failed tick, and no tick knows what to do about it."""
    with connect_to_write("md:keycash") as connection:
        connection.execute("CREATE TABLE publications (other INTEGER)")
    skipped = str(motherduck.evaluate_sensor().skip_message)
    assert "Not known whether anything is new: md:keycash cannot be read: " in skipped
    assert "object_ledger" in skipped


def test_motherduck_without_a_token_says_which_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTHERDUCK_TOKEN", raising=False)
    with pytest.raises(WarehouseError, match="MOTHERDUCK_TOKEN is not set"):
        connect_to_write("md:keycash")


def test_motherduck_with_a_name_that_is_none_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERDUCK_TOKEN", "secret-token")
    with pytest.raises(WarehouseError, match="letters, digits and underscores"):
        connect_to_write("md:a'; DROP TABLE x")


def test_motherduck_with_an_unsupported_client_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOTHERDUCK_TOKEN", "secret-token")
    monkeypatch.setattr(duckdb, "__version__", "2.0.0")
    with pytest.raises(WarehouseError, match=r"clients up to 1\.5\.6"):
        connect_to_write("md:keycash")


def test_motherduck_out_of_reach_is_an_error_within_seconds_that_keeps_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOTHERDUCK_TOKEN", "secret-token")
    monkeypatch.setattr("keycash_assets.warehouse.MOTHERDUCK_HOST", "motherduck.invalid")
    with pytest.raises(WarehouseError, match="cannot be reached") as raised:
        connect_to_write("md:keycash")
    assert "secret-token" not in str(raised.value)


@dataclass
class FakeConnection:
    """What DuckDB's client does where the network fails at a later step, or the token.

    Attributes:
        failing: Which of its functions fails.
        error: What that raises.
        is_closed: Whether it was closed.
    """

    failing: str
    error: Exception
    is_closed: bool = False

    def load_extension(self, path: str) -> None:
        """Load an extension."""
        self._do("load_extension")

    def execute(self, statement: str) -> None:
        """Run a statement."""
        self._do("execute")

    def close(self) -> None:
        """Close it."""
        self.is_closed = True

    def _do(self, function: str) -> None:
        if function == self.failing:
            raise self.error


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket in MotherDuck's place, which takes connections and says nothing."""
    monkeypatch.setenv("MOTHERDUCK_TOKEN", "secret-token")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(warehouse, "MOTHERDUCK_HOST", "127.0.0.1")
        monkeypatch.setattr(warehouse, "MOTHERDUCK_PORT", port)
        monkeypatch.setattr(warehouse, "MOTHERDUCK_TLS_PORT", port)
        yield server


def test_motherduck_that_never_answers_is_not_waited_for(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extension itself would hold the whole process for a minute and a half."""
    monkeypatch.setattr(warehouse, "MOTHERDUCK_WAIT_SECONDS", 0.2)
    with pytest.raises(WarehouseError, match=r"cannot be reached \(127\.0\.0\.1: timed out\)"):
        connect_to_write("md:keycash")


@pytest.mark.parametrize(
    ("failing", "error", "message"),
    [
        (
            "load_extension",
            duckdb.InvalidInputException('"Failed to download ... Could not establish connection"'),
            "MotherDuck cannot be reached .*Could not establish connection.*Check the network",
        ),
        (
            "execute",
            duckdb.InvalidInputException("Your request is not authenticated"),
            "MotherDuck refused 'md:keycash': Your request is not authenticated",
        ),
    ],
)
def test_the_network_is_not_taken_for_a_refusal_of_motherduck(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    error: Exception,
    message: str,
) -> None:
    """Who reads that he was refused makes a new token, and is none the wiser."""
    connection = FakeConnection(failing, error)
    monkeypatch.setattr(duckdb, "connect", lambda: connection)

    def answer() -> None:
        with listener.accept()[0] as client:
            client.recv(10_000)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    answering = threading.Thread(target=answer)
    answering.start()
    with pytest.raises(WarehouseError, match=message):
        connect_to_write("md:keycash")
    answering.join()
    assert connection.is_closed
