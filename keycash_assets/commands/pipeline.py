"""Running the Dagster jobs in this process, and saying in a few lines how they went."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg

from keycash_assets.backlog import Backlog
from keycash_assets.checks import LANDING_CHECKS, METRIC_CHECKS
from keycash_assets.commands.console import console, literal
from keycash_assets.definitions import build_definitions
from keycash_assets.errors import KeycashError
from keycash_assets.local.private_files import make_private_folder
from keycash_assets.sensors import make_partitions, run_request
from keycash_assets.settings import REPOSITORY, Settings
from keycash_assets.sources import without_secrets

_QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}
_PROPERTIES = {check.name: check.description for check in (*LANDING_CHECKS, *METRIC_CHECKS)}


@dataclass(frozen=True)
class CheckOutcome:
    """How an asset check of a run ended.

    Attributes:
        property: What it checks, in a sentence.
        offenders: What it found, in words.
    """

    name: str
    passed: bool
    blocking: bool
    property: str
    offenders: str


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        run_id: Dagster run.
        succeeded: Whether all of it went through, blocking checks included.
        checks: The asset checks that it ran.
        error: What failed, for a person; None if nothing did.
    """

    run_id: str
    succeeded: bool
    checks: tuple[CheckOutcome, ...]
    error: str | None


def prepare_dagster_home(settings: Settings) -> None:
    """Make the folder of Dagster's state, with the repository's ``dagster.yaml`` in it."""
    make_private_folder(settings.dagster_home)
    shutil.copyfile(REPOSITORY / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)


class Pipeline:
    """The platform's jobs, run in this process on the instance that the UI shows.

    Args:
        settings: The settings.
        instance: Dagster's instance.
    """

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._definitions = build_definitions(settings)
        self._instance = instance

    def upload(self) -> RunOutcome:
        """Have the source files at hand and put them into the bucket."""
        return self._run("upload_source_files")

    def ingest(self, backlog: Backlog) -> RunOutcome:
        """Load new objects as the sensor would, bring the metric up to date, check and publish."""
        if not backlog.new:
            return self._run("ingest_objects")
        make_partitions(self._instance, backlog)
        request = run_request(backlog, None)
        return self._run("ingest_objects", tags=request.tags, config=request.run_config)

    def replay(self, keys: list[str]) -> RunOutcome:
        """Open objects again, bring the metric up to date, check and publish."""
        config = {"ops": {"landing_table": {"config": {"replay_keys": keys}}}}
        return self._run("replay_objects", config=config)

    def _run(
        self,
        job: str,
        tags: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> RunOutcome:
        result = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            tags=dict(tags or {}),
            run_config={"loggers": _QUIET, **(config or {})},
            raise_on_error=False,
        )
        return RunOutcome(
            result.run_id,
            result.success,
            tuple(
                CheckOutcome(
                    check.check_name,
                    check.passed,
                    bool(check.blocking),
                    _PROPERTIES[check.check_name],
                    check.description or "",
                )
                for check in result.get_asset_check_evaluations()
            ),
            None if result.success else _first_error(result),
        )


def _first_error(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            cause = error.cause or error
            # Our own messages are sentences for people; of other errors the kind says something.
            return cause.message.strip().removeprefix(
                f"{KeycashError.__module__}.{cause.cls_name}: "
            )
    return "the run did not finish"


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance in ``KEYCASH_HOME``: what runs here is seen in the UI."""
    prepare_dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        yield instance


def upload_source_files(settings: Settings, pipeline: Pipeline) -> None:
    """Put the source files into the bucket, if that is asked for.

    Raises:
        KeycashError: They cannot be had, or the bucket does not take them.
    """
    if not settings.uploads:
        return
    console.print(f"[bold]Source files[/] from {literal(without_secrets(settings.source))}")
    outcome = pipeline.upload()
    if not outcome.succeeded:
        raise KeycashError(f"The source files were not uploaded: {outcome.error}")


def print_outcome(outcome: RunOutcome) -> None:
    """Print the checks of a run, and what failed."""
    for check in outcome.checks:
        mark = (
            "[green]✓[/]" if check.passed else ("[red]✗[/]" if check.blocking else "[yellow]![/]")
        )
        kind = (
            "" if check.passed else f" ({'blocking, ' if check.blocking else ''}{check.offenders})"
        )
        console.print(f"  {mark} {check.name}{literal(kind)}: {literal(check.property)}")
    if outcome.error is not None:
        console.print(f"[red]Run {outcome.run_id} failed:[/] {literal(outcome.error)}")
