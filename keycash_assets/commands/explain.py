"""``keycash explain``: from a day's total to the lines in the files."""

from datetime import date

from keycash_assets.commands.console import console, money, print_table
from keycash_assets.errors import KeycashError
from keycash_assets.settings import Settings
from keycash_assets.sql import statement
from keycash_assets.warehouse import published_connection


def explain(settings: Settings, day: date) -> None:
    """Print the requests behind a day's total, those they superseded, and its restatements.

    Raises:
        KeycashError: Nothing has been published yet, or nothing is known of the day.
    """
    with published_connection(settings) as connection:
        if connection.execute(statement("reports/state")).fetchall()[0][0] is None:
            raise KeycashError("Nothing has been published yet: run `make run` or `make up` first.")
        on_day = {"day": day}
        total = connection.execute(statement("reports/day_total"), on_day).fetchall()
        winners = connection.execute(statement("reports/day_requests"), on_day).fetchall()
        superseded = connection.execute(statement("reports/day_superseded"), on_day).fetchall()
        changes = connection.execute(statement("reports/day_changes"), on_day).fetchall()
    if not total and not superseded and not changes:
        raise KeycashError(f"No request is dated {day}.")
    amount, requests = total[0] if total else (None, 0)
    console.print(f"[bold]{day}: {money(amount)} BRL[/], {requests} requests that count")
    columns = ["client", "name", "credito_solicitado", "data_solicitacao", "object", "record"]
    print_table("They count", columns, winners, wide=True)
    if superseded:
        rows = [(*row[:6], f"{row[6]} [{row[7]}]") for row in superseded]
        print_table("They were superseded", [*columns, "by"], rows, wide=True)
    if changes:
        print_table(
            "How the total came to be",
            ["changed at (UTC)", "old", "new", "because of", "run"],
            [(*row[:3], _some(row[3]), row[4][:8]) for row in changes],
            wide=True,
        )


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
