"""``python -m benchmarks``: runs races, prints their tables and writes ``benchmarks/results``."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.bench import Bench, BenchmarkError
from benchmarks.guard import guard
from benchmarks.races import RACES
from benchmarks.report import write_documents
from benchmarks.results import RESULTS, print_result, write
from keycash_assets.commands.console import console
from keycash_assets.errors import KeycashError
from keycash_assets.local.processes import Stopped, Supervisor
from keycash_assets.settings import REPOSITORY

_RUNS = 5
_GUARD_RUNS = 3
_HOME = REPOSITORY / ".bench"


def _options(command: Callable[..., None]) -> Callable[..., None]:
    options = [
        click.option("--runs", type=click.IntRange(1), help=f"Rounds; {_RUNS} if not given."),
        click.option("--quick", is_flag=True, help="Small and one round: to see that it works."),
        click.option("--objects", type=click.IntRange(100), help="Objects, in races over objects."),
        click.option(
            "--home",
            type=click.Path(file_okay=False, path_type=Path),
            default=_HOME,
            help="Folder of the object store and of cached data, some gigabytes.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def main() -> None:
    """Race the platform against rivals and against the limits of its parts."""


def _race_command(names: Sequence[str]) -> Callable[..., None]:
    def command(runs: int | None, objects: int | None, home: Path, **flags: Any) -> None:
        quick = bool(flags["quick"])
        runs = runs or (1 if quick else _RUNS)
        # Figures of another scale must not pass for the ones that the documents quote.
        is_full = not quick and objects is None and runs >= _RUNS
        folder = RESULTS if is_full else home.absolute() / "results"
        with Supervisor() as supervisor:
            bench = Bench(home.absolute(), runs, supervisor, quick=quick, objects=objects)
            for name in names:
                result = RACES[name](bench)
                print_result(result)
                write(result, folder, "full" if is_full else "reduced", runs)
            bench.close()

    return _options(command)


for _name, _race in RACES.items():
    main.command(_name, help=f"Race: {_race.__doc__}")(_race_command([_name]))
main.command("all", help="All races, one after the other.")(_race_command(list(RACES)))


@main.command("guard")
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), default=_HOME)
def _guard(home: Path) -> None:
    """Fail if something has become much slower; takes a minute or so."""
    with Supervisor() as supervisor:
        bench = Bench(home.absolute(), _GUARD_RUNS, supervisor)
        result = guard(bench)
        bench.close()
    print_result(result)
    slower = [target.name for target in result.targets if not target.met]
    if slower:
        raise BenchmarkError(f"Much slower than it was: {', '.join(slower)}.")


@main.command("report")
def _report() -> None:
    """Write the tables and plots of the documents anew from benchmarks/results."""
    for path in write_documents():
        console.print(f"Wrote {path.relative_to(REPOSITORY)}")


def _run() -> int:
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (Stopped, click.Abort):
        console.print("Stopped.")
        return 130
    except KeycashError as error:
        console.print(f"[red]{error}[/]")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_run())
