"""``keycash up`` and ``keycash store``: the servers, until somebody asks them to stop."""

from contextlib import ExitStack, suppress

from keycash_assets.commands.console import console
from keycash_assets.commands.pipeline import (
    Pipeline,
    dagster_instance,
    prepare_dagster_home,
    upload_source_files,
)
from keycash_assets.local.addresses import write_addresses
from keycash_assets.local.dagster_servers import DagsterServers
from keycash_assets.local.object_store_server import LocalObjectStoreServer
from keycash_assets.local.one_platform import only_platform
from keycash_assets.local.private_files import make_private_folder
from keycash_assets.local.processes import Stopped, Supervisor
from keycash_assets.local.superset_server import SupersetServer, sign_ins
from keycash_assets.publishing import publish_empty_snapshot
from keycash_assets.settings import Settings, object_store_environment


def up(settings: Settings) -> None:
    """Start the living platform, print its addresses once it is healthy, and run until stopped.

    Raises:
        KeycashError: A server did not start or ended by itself, or the source files cannot be had.
    """
    make_private_folder(settings.home)
    with (
        only_platform(settings),
        suppress(Stopped),
        Supervisor() as supervisor,
        ExitStack() as servers,
    ):
        addresses: dict[str, str] = {}
        if settings.uses_local_object_store:
            with console.status("Starting the object store"):
                store = LocalObjectStoreServer(settings.object_store_home)
                servers.enter_context(store.start(supervisor))
        prepare_dagster_home(settings)
        publish_empty_snapshot(settings)
        superset = SupersetServer(settings, supervisor)
        dagster = DagsterServers(settings, supervisor, superset.url)
        with dagster_instance(settings) as instance:
            upload_source_files(settings, Pipeline(settings, instance))
        with console.status("Waiting until Dagster is healthy"):
            dagster.wait_until_healthy()
        with console.status("Waiting until Superset is healthy (longer at its first start)"):
            superset.wait_until_healthy()
        addresses["Dagster"] = dagster.url
        addresses["Superset"] = superset.url
        _print_bucket(settings)
        write_addresses(settings, addresses)
        console.print(
            f"[bold]Dagster[/] {dagster.url}  (no sign-in: it listens on this machine only)"
        )
        _print_superset(settings, superset.url)
        console.print("The platform is up: the sensor loads what is put into the bucket.")
        console.print("Ctrl-C stops all of it; started again, everything is still there.")
        supervisor.watch()
    console.print("Stopped.")


def _print_superset(settings: Settings, url: str) -> None:
    """Print the address of Superset, and who may sign in."""
    console.print(f"[bold]Superset[/] {url}")
    for user, password in sign_ins(settings).items():
        console.print(f"  sign in as {user} with {password}")


def run_object_store(settings: Settings) -> None:
    """Run only the local object store until stopped; `dagster dev` finds its home prepared.

    Raises:
        ServerError: It did not start, or ended by itself.
    """
    store = LocalObjectStoreServer(settings.object_store_home)
    with suppress(Stopped), Supervisor() as supervisor, store.start(supervisor):
        prepare_dagster_home(settings)
        _print_bucket(settings)
        console.print(f"To run Dagster beside it: DAGSTER_HOME={settings.dagster_home} dagster dev")
        console.print("Ctrl-C stops it; its data stay.")
        supervisor.watch()
    console.print("Stopped.")


def _print_bucket(settings: Settings) -> None:
    if not settings.uses_local_object_store:
        console.print(f"[bold]Bucket[/] {settings.objects_url}")
        return
    variables = object_store_environment(settings, {})
    console.print(
        f"[bold]Bucket[/] {variables['KEYCASH_OBJECTS_URL']} at "
        f"{variables['AWS_ENDPOINT_URL_S3']}  (`keycash env` prints its keys for a shell)"
    )
