"""What a living platform keeps to itself, and what files that try to inject something come to."""

import ipaddress
import json
import re
import socket
import sqlite3
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from keycash_assets.bucket import Bucket
from keycash_assets.commands.pipeline import prepare_dagster_home
from keycash_assets.settings import Settings
from keycash_assets.warehouse import connect_to_write
from keycash_assets_tests.browsing import SHOWN_MS, SignIn, address_of, chart, dashboard
from keycash_assets_tests.living_platform import (
    SECRETS_OF_THE_ENVIRONMENT,
    LivingPlatform,
    processes_of,
)
from keycash_assets_tests.platform import credit_request, document

SECRET_FILES = {
    "object_store/config/security.toml",
    "object_store/connection.env",
    "object_store/keys.json",
    "superset/secrets.json",
}
SIGN_IN_LINE = re.compile(rb"^  sign in as \w+ with \S+$", re.MULTILINE)


def test_no_socket_is_open_to_other_machines(living: LivingPlatform) -> None:
    """One server on 0.0.0.0, a code server or a gRPC port, gives the data to the network."""
    processes = set(processes_of(living.home))
    bound = [
        connection
        for connection in psutil.net_connections("inet")
        if connection.pid in processes
        and (connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM)
    ]
    assert len({connection.pid for connection in bound}) >= 4, "not all servers were seen"
    assert {str(c.laddr) for c in bound if c.laddr and not _is_loopback(c.laddr.ip)} == set()


def _is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _secrets(home: Path) -> dict[str, bytes]:
    """Everything that nobody else may know, by what it is."""
    keys = json.loads((home / "object_store" / "keys.json").read_text())
    superset = json.loads((home / "superset" / "secrets.json").read_text())
    security = (home / "object_store" / "config" / "security.toml").read_text()
    others = {
        name: value
        for name, value in SECRETS_OF_THE_ENVIRONMENT.items()
        if name != "AWS_ACCESS_KEY_ID"  # a name, not a secret
    }
    secrets = {
        "the bucket's key": keys["AWS_SECRET_ACCESS_KEY"],
        "Superset's key": superset["secret_key"],
        **{f"password of {user}": word for user, word in superset["passwords"].items()},
        **{f"signing key {n}": key for n, key in enumerate(re.findall(r'"(.+)"', security))},
        **{f"{name} of the environment": value for name, value in others.items()},
    }
    assert len(secrets) == 12
    return {name: value.encode() for name, value in secrets.items()}


def test_secrets_are_in_their_own_files_and_in_no_others(living: LivingPlatform) -> None:
    """Not in logs, not in Dagster's events, run settings and tags, not in Superset's database.

    ``keycash up`` prints the passwords of Superset to whoever started it, in their own lines.
    """
    secrets = _secrets(living.home)
    found: dict[str, set[str]] = {}
    searched = set()
    for path in living.home.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path == living.log:
            content = SIGN_IN_LINE.sub(b"", content)
        name = str(path.relative_to(living.home))
        searched.add(name)
        if leaked := {secret for secret, value in secrets.items() if value in content}:
            found[name] = leaked
    assert found.keys() == SECRET_FILES
    assert {
        "logs/dagster_daemon.log",
        "logs/dagster_web_server.log",
        "object_store/server.log",
        "superset/superset.db",
        "superset/superset.log",
    } <= searched
    assert any(re.match(r"dagster/history/runs/.+\.db$", name) for name in searched)


def test_secrets_are_not_in_the_snapshots_of_jobs(living: LivingPlatform) -> None:
    """Dagster keeps the settings of all resources there, compressed, and shows them in its UI."""
    database = sqlite3.connect(f"file:{living.home}/dagster/history/runs.db?mode=ro", uri=True)
    rows = database.execute("SELECT snapshot_body FROM snapshots").fetchall()
    database.close()
    snapshots = b"".join(zlib.decompress(body) for (body,) in rows)
    assert b"object_store" in snapshots
    assert [name for name, value in _secrets(living.home).items() if value in snapshots] == []


def test_secrets_are_on_no_command_line(living: LivingPlatform) -> None:
    """Everybody on the machine can read the command lines of all processes."""
    secrets = _secrets(living.home)
    for process in processes_of(living.home):
        command = Path(f"/proc/{process}/cmdline").read_bytes()
        assert {name for name, value in secrets.items() if value in command} == set(), command


def test_files_with_secrets_are_their_owners_alone(living: LivingPlatform) -> None:
    for name in SECRET_FILES:
        path = living.home / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, name
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, name


def test_a_new_home_is_its_owners_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warehouse and files hold personal data; whoever comes first makes the folder."""
    monkeypatch.setenv("DAGSTER_HOME", "")  # to be as it was afterwards
    assert not settings.home.exists()
    prepare_dagster_home(settings)
    with connect_to_write(str(tmp_path / "other" / "keycash.duckdb")):
        pass
    for folder in (settings.home, settings.dagster_home, tmp_path / "other"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_a_token_of_other_keys_is_not_sent(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is signed in to a cloud in the same shell could not reach the local store."""
    for name, value in SECRETS_OF_THE_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(environment["KEYCASH_OBJECTS_URL"], environment)
    assert bucket.all_versions() == []


IMAGE = "<img src=//127.0.0.1:9/marker onerror=window.ran=1>"
TABLE = "a | b `c` **d**\n| --- |\n# e"
DROP = "'; DROP TABLE landing_table; --"
VALUES = (
    DROP,
    IMAGE,
    TABLE,
    "<script>window.ran=1</script>",
    "<svg onload=window.ran=1>",
    "<a href=//127.0.0.1:9/marker>text</a>",
    "<b class=marker>text</b>",
    "[text](javascript:window.ran=1)",
    "![text](http://127.0.0.1:9/marker)",
)
LOADED = f"hostile {DROP} <img src=x onerror=window.ran=1>.json"
OF_THE_LOADED = "object_key LIKE '%/hostile ''; DROP%'"
QUARANTINED = "hostile [t](javascript:window.ran=1) ![t](x) <svg onload=window.ran=1>.json"
FOREIGN = (
    "[onerror], [onload], .marker, [src*=marker], [href*=marker], img[src=x], [href^=javascript], "
    "td script, td h1"
)
"""Elements that only one of the values above can have made."""


@pytest.fixture(scope="module")
def injecting(living: LivingPlatform) -> Iterator[LivingPlatform]:
    """The platform with two objects that try to inject; harmless ones replace them in the end."""
    requests = [
        credit_request(f"{n} {value}", 1, "07/01/2031 10:00", name=value, **{value: value})
        for n, value in enumerate(VALUES)
    ]
    living.put(QUARANTINED, VALUES[3].encode())
    living.put(LOADED, document(*requests, credit_request("problem", IMAGE)))
    rows = f"SELECT count(*) FROM landing_table WHERE {OF_THE_LOADED}"
    living.wait_until_published(rows, [(len(VALUES) + 1,)])
    living.wait_until_published("SELECT count(*) FROM quarantine", [(1,)])
    yield living
    for name in (LOADED, QUARANTINED):
        living.put(name, document(credit_request("mended", 1, "06/02/2031 10:00")))
    living.wait_until_published(rows, [(1,)])
    living.wait_until_published("SELECT count(*) FROM quarantine", [(0,)])


@contextmanager
def _nothing_injected(page: Page) -> Iterator[None]:
    """Whatever the page shows within, no value of a file has become a part of it.

    Raises:
        AssertionError: One has: a script ran, an element was made, or somebody else was asked.
    """
    happened: list[str] = []
    page.on("dialog", lambda dialog: happened.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: happened.append(request.url))
    yield
    assert page.evaluate("window.ran") is None
    made = page.locator(FOREIGN).evaluate_all("found => found.map(one => one.outerHTML)")
    assert made == []
    assert [url for url in happened if "marker" in url or url.startswith("dialog")] == []


def test_values_of_files_are_bound_and_not_run_as_sql(injecting: LivingPlatform) -> None:
    names = injecting.published(
        f"SELECT name FROM landing_table WHERE {OF_THE_LOADED} ORDER BY record_index"
    )
    assert [name for (name,) in names][:-1] == list(VALUES)


def test_dagster_shows_what_files_hold_as_text(injecting: LivingPlatform, browser: Browser) -> None:
    """Previews are Markdown: a client's name could be a link, a picture or a script."""
    ((run,),) = injecting.published(
        f"SELECT DISTINCT run_id FROM landing_table WHERE {OF_THE_LOADED}"
    )
    context = browser.new_context(
        base_url=address_of("Dagster", injecting), viewport={"width": 1500, "height": 2200}
    )
    context.set_default_timeout(SHOWN_MS)
    page = context.new_page()
    with _nothing_injected(page):
        page.goto("/assets/landing_table?view=overview")
        page.get_by_text("[Show Markdown]").first.click()
        preview = page.locator("table").filter(has_text="record_index").last
        for value in VALUES:
            expect(preview).to_contain_text(" ".join(value.split()), timeout=SHOWN_MS)
    for address, text in (
        ("/assets/quarantine?view=overview", QUARANTINED[:30]),
        ("/assets/landing_table?view=partitions", "<svg onload=window.ran=1>"),
        (f"/runs/{run}", "RUN_SUCCESS"),
    ):
        with _nothing_injected(page):
            page.goto(address)
            expect(page.locator("body")).to_contain_text(text, timeout=SHOWN_MS)
    context.close()


@pytest.mark.parametrize(
    ("slug", "texts"),
    [
        (
            "por-tras-do-numero",
            {
                # Superset leaves attributes out even where it shows elements as text.
                "Pedidos que contam": (
                    DROP,
                    TABLE,
                    *VALUES[3:5],
                    *VALUES[7:],
                    "<img src",
                    "<a href",
                )
            },
        ),
        (
            "pipeline-health",
            {
                "Quarantine": ("[t](javascript:window.ran=1)",),
                "Records with problems": ("credito_solicitado: not a number",),
                "Schema drift": (DROP, "<img src"),
            },
        ),
    ],
)
@pytest.mark.usefixtures("injecting")
def test_superset_shows_what_files_hold_as_text(
    sign_in: SignIn, slug: str, texts: dict[str, tuple[str, ...]]
) -> None:
    """Its tables take values that look like HTML for HTML, if they are allowed to."""
    page = sign_in("analyst")
    with _nothing_injected(page), dashboard(page, slug):
        for name, values in texts.items():
            for value in values:
                expect(chart(page, name)).to_contain_text(" ".join(value.split()), timeout=SHOWN_MS)
