"""``keycash status``: what is in use, what is published, and what waits."""

import os
from typing import TYPE_CHECKING

from keycash_assets.backlog import find_backlog
from keycash_assets.bucket import bucket_of
from keycash_assets.commands.console import console, literal, money, print_table
from keycash_assets.errors import KeycashError
from keycash_assets.event_queue import EventQueue
from keycash_assets.local.addresses import read_addresses
from keycash_assets.local.object_store_server import LocalObjectStoreServer
from keycash_assets.local.superset_server import sign_ins
from keycash_assets.settings import Settings, object_store_environment
from keycash_assets.sources import without_secrets
from keycash_assets.sql import statement
from keycash_assets.warehouse import published_connection

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection


def status(settings: Settings) -> None:
    """Print the settings in use, the addresses, the published state and the backlog.

    Raises:
        KeycashError: The published snapshot cannot be read.
    """
    _print_settings(settings)
    with published_connection(settings) as connection:
        state = connection.execute(statement("reports/state")).fetchall()[0]
        if state[0] is None:
            console.print("Nothing has been published yet: `make run` or `make up` does it.")
        else:
            by_status = connection.execute(statement("reports/ledger_by_status")).fetchall()
            at, run_id, records, problem_records, quarantined, days, total, requests = state
            console.print(
                f"[bold]Published[/] {at:%Y-%m-%d %H:%M:%S} UTC by run {run_id}: "
                f"{money(total)} BRL over {days} days, {requests:,} clients, {records:,} records "
                f"({problem_records:,} with problems, {quarantined:,} entries in quarantine)"
            )
            columns = ["status", "versions", "objects", "records", "bytes"]
            print_table("Objects", columns, by_status)
        _print_backlog(settings, connection)
    _print_events(settings)


def _print_backlog(settings: Settings, connection: "Connection") -> None:
    local_store = LocalObjectStoreServer(settings.object_store_home)
    if settings.uses_local_object_store and not local_store.is_running():
        console.print("[bold]Waiting[/] unknown: the local object store is not running.")
        return
    try:
        backlog = find_backlog(connection, bucket_of(settings, os.environ))
    except KeycashError as error:
        console.print(f"[yellow]Backlog unknown:[/] {literal(error)}")
    else:
        console.print(
            f"[bold]Waiting[/] {len(backlog.new):,} new objects, {len(backlog.vanished):,} deleted"
        )


def _print_events(settings: Settings) -> None:
    """Print how full the queue of the bucket's events is, if there is one."""
    if settings.events_queue_url is None:
        return
    try:
        depth = EventQueue(settings.events_queue_url, os.environ).depth()
    except KeycashError as error:
        console.print(f"[yellow]Events unknown:[/] {literal(error)}")
    else:
        console.print(
            f"[bold]Events[/] {settings.events_queue_url}: about {depth.waiting:,} messages wait, "
            f"{depth.held:,} were handed out and are not confirmed yet"
        )


def _print_settings(settings: Settings) -> None:
    addresses = read_addresses(settings)
    for name, address in addresses.items():
        console.print(f"[bold]{name}[/] {address}")
        if name == "Superset":
            for user, password in sign_ins(settings).items():
                console.print(f"  sign in as {user} with {password}")
    if not addresses:
        console.print("The platform is not up (`make up` starts it).")
    try:
        variables = object_store_environment(settings, os.environ)
    except KeycashError as error:
        console.print(f"[bold]Bucket[/] {literal(error)}")
    else:
        endpoint = variables.get("AWS_ENDPOINT_URL_S3") or "the cloud's own endpoint"
        console.print(f"[bold]Bucket[/] {variables['KEYCASH_OBJECTS_URL']} at {endpoint}")
        if settings.uses_local_object_store:
            keys = settings.object_store_home / "connection.env"
            console.print(f"  its keys are in {keys}; `keycash env` prints them for a shell")
    console.print(f"[bold]Source[/] {literal(without_secrets(settings.source))}")
    console.print(f"[bold]Warehouse[/] {literal(settings.warehouse)}")
    if not settings.uses_motherduck:
        console.print(f"[bold]Published snapshot[/] {literal(settings.published)}")
