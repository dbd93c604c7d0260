"""The ``keycash`` command."""

import functools
import os
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from keycash_assets.errors import KeycashError
from keycash_assets.settings import REPOSITORY, Settings

# What a command needs is imported when it runs: `keycash --help` answers at once.
# ruff: noqa: PLC0415

_SETTINGS_HELP = """
Settings are environment variables, also read from a file named .env in the repository:

\b
  KEYCASH_HOME               folder of all local state (.keycash)
  KEYCASH_SOURCE             folder, .zip or http(s) URL of a zip (sample)
  KEYCASH_OBJECTS_URL        s3://bucket/prefix or gs://bucket/prefix (a local store)
  KEYCASH_EVENTS_QUEUE_URL   SQS queue of the bucket's events (none: listing alone)
  KEYCASH_RECONCILE_SECONDS  how long events alone are trusted (300)
  KEYCASH_WAREHOUSE          DuckDB file, or md:database (KEYCASH_HOME/keycash.duckdb)
  KEYCASH_PUBLISHED          snapshot for readers (KEYCASH_HOME/published/keycash.duckdb)
  AWS_*, GOOGLE_*            as those clouds' own tools read them

README.md and .env.example name all of them.
"""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Group(click.Group):
    """Ends with a sentence, not a traceback, on errors that a person can act on."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeycashError as error:
            from keycash_assets.commands.console import printable

            raise click.ClickException(printable(error)) from error


@click.group(
    cls=_Group, epilog=_SETTINGS_HELP, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="keycash-assets")
def main() -> None:
    """Credit requests from files in a bucket to a daily total that can be traced to a line."""


def _with_settings(
    command: Callable[Concatenate[Settings, Arguments], Result],
) -> Callable[Arguments, Result]:
    """Hand the settings to a command when it runs: with a wrong one its --help answers still."""

    @functools.wraps(command)
    def with_settings(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        from dotenv import load_dotenv

        load_dotenv(Path.cwd() / ".env" if Path(".env").is_file() else REPOSITORY / ".env")
        return command(Settings.from_environment(os.environ), *args, **kwargs)

    return with_settings


@main.command()
@_with_settings
def run(settings: Settings) -> None:
    """Run the whole pipeline once, without a UI.

    Starts the local object store (unless a bucket is set), puts the source files into it, loads
    what is new, builds credit_per_day, runs every check, publishes and prints the daily table.
    Ends with 0 only if every blocking check passed. Running it again is safe: what is loaded stays.
    """
    from keycash_assets.commands.run import run as run_pipeline

    sys.exit(0 if run_pipeline(settings) else 1)


@main.command()
@_with_settings
def up(settings: Settings) -> None:
    """Start the living platform: object store, Dagster with sensor and schedule, Superset.

    Prints the addresses and sign-ins when everything is healthy. Ctrl-C or SIGTERM stops all of
    it; started again, everything is still there.
    """
    from keycash_assets.commands.up import up as bring_up

    bring_up(settings)


@main.command()
@_with_settings
def store(settings: Settings) -> None:
    """Start only the local object store, to go with `dagster dev`; Ctrl-C stops it.

    Also prepares Dagster's folder, KEYCASH_HOME/dagster, which is to be its DAGSTER_HOME.
    """
    from keycash_assets.commands.up import run_object_store

    run_object_store(settings)


@main.command()
@_with_settings
def env(settings: Settings) -> None:
    """Print the variables that reach the local bucket, for `eval "$(keycash env)"`."""
    from shlex import quote

    from keycash_assets.settings import object_store_environment

    if not settings.uses_local_object_store:
        raise KeycashError("KEYCASH_OBJECTS_URL is set: your own environment reaches the bucket.")
    for name, value in object_store_environment(settings, {}).items():
        click.echo(f"export {name}={quote(value)}")


@main.command()
@_with_settings
def status(settings: Settings) -> None:
    """Say what is in use, what is published, and what waits to be loaded."""
    from keycash_assets.commands.status import status as print_status

    print_status(settings)


@main.command()
@_with_settings
def plan(settings: Settings) -> None:
    """Show what the next tick would load, replace or quarantine, writing nothing.

    Also shows how each day's total would change, and because of which files.
    """
    from keycash_assets.commands.plan import plan as print_plan

    print_plan(settings)


@main.command()
@click.argument("day", metavar="DAY", type=click.DateTime(["%Y-%m-%d"]))
@_with_settings
def explain(settings: Settings, day: datetime) -> None:
    """Lead from the total of DAY (as in 2022-01-30) to each request behind it.

    Prints the requests that count with their file and position in it (from 0), the requests they
    superseded, and how the total came to be what it is.
    """
    from keycash_assets.commands.explain import explain as print_explanation

    print_explanation(settings, date(day.year, day.month, day.day))


@main.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--quarantined", is_flag=True, help="All objects with something in quarantine.")
@_with_settings
def replay(settings: Settings, keys: tuple[str, ...], quarantined: bool) -> None:
    """Read objects again, by KEY (or file name) or all with something in quarantine.

    Harmless: an object that says what it said before changes nothing. An object that was mended
    under its own key needs no replay, the sensor sees it.
    """
    from keycash_assets.commands.replay import replay as replay_objects

    if not keys and not quarantined:
        raise click.UsageError("Name the keys to replay, or say --quarantined.")
    sys.exit(0 if replay_objects(settings, keys, quarantined=quarantined) else 1)
