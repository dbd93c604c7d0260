"""``keycash run``: the whole pipeline once, without a UI."""

import os

from keycash_assets.backlog import find_backlog
from keycash_assets.bucket import bucket_of
from keycash_assets.commands.console import console, literal, money, print_table
from keycash_assets.commands.pipeline import (
    Pipeline,
    dagster_instance,
    print_outcome,
    upload_source_files,
)
from keycash_assets.local.object_store_server import object_store_of
from keycash_assets.local.one_platform import refuse_beside_another_platform
from keycash_assets.settings import Settings
from keycash_assets.sql import statement
from keycash_assets.warehouse import published_connection


def run(settings: Settings) -> bool:
    """Upload, load, build, check and publish; print the daily table.

    Returns:
        Whether every blocking check passed.

    Raises:
        KeycashError: A step failed; the message says what to do.
    """
    refuse_beside_another_platform(settings)
    with object_store_of(settings), dagster_instance(settings) as instance:
        pipeline = Pipeline(settings, instance)
        upload_source_files(settings, pipeline)
        bucket = bucket_of(settings, os.environ)
        with published_connection(settings) as connection:
            backlog = find_backlog(connection, bucket)
        console.print(f"[bold]Loading[/] {len(backlog.new):,} new objects of {literal(bucket.url)}")
        outcome = pipeline.ingest(backlog)
    print_outcome(outcome)
    if outcome.succeeded:
        _print_daily_table(settings)
    return outcome.succeeded


def _print_daily_table(settings: Settings) -> None:
    with published_connection(settings) as connection:
        days = connection.execute(statement("reports/daily_series")).fetchall()
        state = connection.execute(statement("reports/state")).fetchall()[0]
    print_table("credit_per_day (BRL)", ["data_solicitada", "credito_solicitado", "requests"], days)
    _, _, records, problem_records, quarantined, _, total, requests = state
    console.print(
        f"[bold]Total {money(total)}[/] over {len(days)} days: the latest request of {requests:,} "
        f"clients, of {records:,} records ({problem_records:,} with problems, {quarantined:,} "
        "entries in quarantine)."
    )
    where = settings.warehouse if settings.uses_motherduck else settings.published
    console.print(f"Published to {literal(where)}")
