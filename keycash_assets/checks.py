"""Asset checks: one property each. A check passes when its query finds no offenders.

The queries are in ``sql/checks``. Blocking checks stop a run before it publishes: readers keep the
numbers of the run before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from keycash_assets.assets.landing_table import INGEST_TAG, WAREHOUSE_POOL
from keycash_assets.backlog import find_unaccounted
from keycash_assets.presentation import markdown_table
from keycash_assets.resources import ObjectStore, Warehouse
from keycash_assets.sql import statement
from keycash_assets.warehouse import create_tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

OFFENDERS_SHOWN = 20
_COUNTED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Offenders:
    """What the query of a check found: nothing, where all is well.

    Attributes:
        names: The names of the query's columns.
        first: The first of them, ``OFFENDERS_SHOWN`` at most: there may be as many as records.
        count: How many there are.
    """

    names: Sequence[str]
    first: list[tuple[object, ...]]
    count: int


@dataclass(frozen=True)
class Check:
    """A property of an asset.

    Attributes:
        name: Name of the check, and of its query in ``sql/checks``.
        asset: What it is a property of.
        description: The property, in a sentence.
        blocking: Whether its failure keeps a run from publishing.
        is_warning: Whether it fails as a warning: worth a look, but the numbers are right.
        follows_loads: Whether it can do with what loads have changed since the last publication.
    """

    name: str
    asset: str
    description: str
    blocking: bool = False
    is_warning: bool = False
    follows_loads: bool = False


LANDING_CHECKS = (
    Check(
        "objects_are_accounted_for",
        "landing_table",
        "Conservation: every object in the bucket has exactly one current entry in the ledger, and "
        "its elements and unreadable lines are the rows of landing_table and quarantine.",
        blocking=True,
    ),
    Check(
        "records_are_loaded_once",
        "landing_table",
        "Exactly once: each position in an object stands in landing_table once.",
        blocking=True,
        follows_loads=True,
    ),
    Check(
        "overwritten_objects_are_replaced",
        "landing_table",
        "Overwrite replaces: all rows are of the current version of their object.",
        blocking=True,
    ),
    Check(
        "records_have_no_problems",
        "landing_table",
        "Every record can count.",
        is_warning=True,
    ),
    Check(
        "id_and_name_agree",
        "landing_table",
        "A client has one name. If not, requests of two people may be taken for one's.",
        is_warning=True,
    ),
    Check(
        "days_are_not_in_the_future",
        "landing_table",
        "No request is dated in the future: it would count as its client's latest until then.",
        is_warning=True,
    ),
    Check(
        "fields_are_known",
        "landing_table",
        "Schema drift: records have the five fields of the contract, of its types, and no other.",
        is_warning=True,
    ),
)

METRIC_CHECKS = (
    Check(
        "credit_per_day_is_exact",
        "credit_per_day",
        "Incremental = full: the total kept up load by load is the one computed from the records.",
        blocking=True,
        follows_loads=True,
    ),
    Check(
        "full_load_agrees",
        "credit_per_day",
        "The last full load made of every object what the loads before it had made.",
    ),
)


def _spec(check: Check) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        check.name, asset=check.asset, description=check.description, blocking=check.blocking
    )


def result(check: Check, offenders: Offenders) -> dg.AssetCheckResult:
    """Say whether the check passed, and list the first offenders."""
    warning = dg.AssetCheckSeverity.WARN
    shown = dg.MetadataValue.md(markdown_table(offenders.names, offenders.first))
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=check.asset,
        passed=not offenders.count,
        severity=warning if check.is_warning else dg.AssetCheckSeverity.ERROR,
        description=f"{offenders.count} offenders" if offenders.count else "no offenders",
        metadata={
            "offenders": offenders.count,
            **({"the first of them": shown} if offenders.count else {}),
        },
    )


def find_offenders(connection: "Connection", check: Check, *, everything: bool) -> Offenders:
    """Run the query of a check.

    Args:
        connection: The warehouse.
        check: The check.
        everything: Whether it looks at all that is stored. Otherwise, where that is enough, only at
            what loads have changed since the last publication: it costs what is new.
    """
    scope = {"everything": everything} if check.follows_loads else {}
    query = connection.execute(statement(f"checks/{check.name}"), scope)
    names = [column[0] for column in query.description or []]
    first = query.fetchmany(OFFENDERS_SHOWN)
    count = len(first)
    while more := len(query.fetchmany(_COUNTED_AT_ONCE)):
        count += more
    return Offenders(names, first, count)


@dg.multi_asset_check(
    specs=[_spec(check) for check in LANDING_CHECKS], can_subset=True, pool=WAREHOUSE_POOL
)
def landing_checks(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse, object_store: ObjectStore
) -> Iterator[dg.AssetCheckResult]:
    """Check what was loaded: what is new, or in other runs than of ``ingest_objects`` all of it."""
    everything = INGEST_TAG not in context.run.tags
    chosen = {key.name for key in context.selected_asset_check_keys}
    with warehouse.get_connection() as connection:
        create_tables(connection)
        for check in LANDING_CHECKS:
            if check.name not in chosen:
                continue
            offenders = find_offenders(connection, check, everything=everything)
            if check.name == "objects_are_accounted_for":
                missing = find_unaccounted(connection, object_store.bucket())
                rows = [(version.key, None, 0, None, 0, None, 0, 0) for version in missing]
                offenders = Offenders(
                    offenders.names,
                    [*offenders.first, *rows][:OFFENDERS_SHOWN],
                    offenders.count + len(rows),
                )
            yield result(check, offenders)


@dg.multi_asset_check(
    specs=[_spec(check) for check in METRIC_CHECKS], can_subset=True, pool=WAREHOUSE_POOL
)
def metric_checks(
    context: dg.AssetCheckExecutionContext, warehouse: Warehouse
) -> Iterator[dg.AssetCheckResult]:
    """Check the metric: for whom it is new, or in other runs than of ``ingest_objects`` for all."""
    everything = INGEST_TAG not in context.run.tags
    chosen = {key.name for key in context.selected_asset_check_keys}
    with warehouse.get_connection() as connection:
        create_tables(connection)
        for check in METRIC_CHECKS:
            if check.name in chosen:
                found = find_offenders(connection, check, everything=everything)
                yield result(check, found)
