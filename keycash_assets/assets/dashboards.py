"""Superset's dashboards, as the end of the lineage: publishing is what brings them up to date."""

from collections.abc import Sequence

import dagster as dg

_DASHBOARDS = {
    "dashboard_credit_per_day": (
        "credito-por-dia",
        "For the business: credit asked for per day, its average, and its course over the month.",
    ),
    "dashboard_behind_the_number": (
        "por-tras-do-numero",
        "For the analyst: from a day's total to each request, its file and what it superseded; "
        "the restatement log. Holds personal data.",
    ),
    "dashboard_pipeline_health": (
        "pipeline-health",
        "For the engineer: objects by state, quarantine, problems, drift, duration of the loads.",
    ),
}


def dashboards(superset_url: str) -> Sequence[dg.AssetSpec]:
    """The dashboards, each with a link that opens it.

    Args:
        superset_url: ``Settings.superset_url``.
    """
    return [
        dg.AssetSpec(
            name,
            deps=["published_snapshot"],
            group_name="dashboards",
            kinds={"superset"},
            description=description,
            metadata={
                "dashboard": dg.MetadataValue.url(f"{superset_url}/superset/dashboard/{slug}/")
            },
        )
        for name, (slug, description) in _DASHBOARDS.items()
    ]
