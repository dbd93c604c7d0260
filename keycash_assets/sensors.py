"""The sensor: what is new in the bucket becomes a run. It fetches, asks ``core`` and reports."""

import json
from datetime import datetime, timezone

import dagster as dg

from keycash_assets.backlog import Backlog, find_backlog
from keycash_assets.core.objects import (
    batch_digest,
    can_be_partitions,
    retry_at,
    superseded_partitions,
)
from keycash_assets.errors import KeycashError
from keycash_assets.jobs import full_load, ingest_objects
from keycash_assets.resources import ObjectStore, Published

LISTING_SECONDS = 20.0
"""How long a tick lists before it leaves the rest to the next one; Dagster ends a tick after 60."""

BATCH_TAG = "keycash/batch"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    jobs=[ingest_objects],
    # The daemon looks every 5 s: at 5 or more, a tick that is a moment early would be left out.
    minimum_interval_seconds=3,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def s3_object_sensor(
    context: dg.SensorEvaluationContext, object_store: ObjectStore, published: Published
) -> dg.SensorResult | dg.SkipReason:
    """Loads objects as they arrive in the bucket.

    New is what the bucket lists and the ledger has not seen, version by version. All that a tick
    finds loads in one run: up to 100 objects as a partition each, more of them in bulk. Objects
    that are no longer in the bucket are noted by a bulk run as well.
    """
    unfinished = unfinished_run(context.instance)
    if unfinished is not None:
        return dg.SkipReason(f"Run {unfinished} is loading; what it leaves is seen after it.")
    after = json.loads(context.cursor)["resume_after"] if context.cursor else None
    try:
        with published.get_connection() as connection:
            backlog = find_backlog(
                connection, object_store.bucket(), after=after, seconds=LISTING_SECONDS
            )
    except KeycashError as error:
        return dg.SkipReason(f"Not known whether anything is new: {error}")
    resume_after = backlog.resume_after
    # Never empty: an empty cursor leaves the one of the tick before in place.
    cursor = json.dumps({"resume_after": resume_after})
    if not backlog.new and not backlog.vanished:
        so_far = f" so far; the listing goes on after {resume_after}" if resume_after else ""
        return dg.SensorResult(
            skip_reason=f"Nothing new among {backlog.listed:,} objects{so_far}.", cursor=cursor
        )
    attempts = context.instance.get_run_records(
        dg.RunsFilter(tags={BATCH_TAG: batch_digest(backlog.new, backlog.vanished)}), limit=20
    )
    if attempts:
        last_run = attempts[0].dagster_run.run_id
        last = datetime.fromtimestamp(attempts[0].end_time or 0, timezone.utc)
        next_attempt = retry_at(last, len(attempts))
        if datetime.now(timezone.utc) < next_attempt:
            return dg.SkipReason(
                f"{len(backlog.new):,} new and {len(backlog.vanished):,} deleted objects, which "
                f"{len(attempts)} runs left as they are (the last is {last_run}); tried again at "
                f"{next_attempt:%H:%M:%S} UTC."
            )
    make_partitions(context.instance, backlog)
    return dg.SensorResult(run_requests=[run_request(backlog, len(attempts))], cursor=cursor)


def unfinished_run(instance: dg.DagsterInstance) -> str | None:
    """A run that is loading, or about to: until it ends, its batch is not in the ledger."""
    for job in (ingest_objects, full_load):
        runs = instance.get_run_ids(dg.RunsFilter(job_name=job.name, statuses=UNFINISHED), limit=1)
        if runs:
            return runs[0]
    return None


def run_request(backlog: Backlog, earlier_attempts: int) -> dg.RunRequest:
    """The run that takes in a backlog: as a range of partitions, or in bulk.

    The run key is made of each object's key and version, and of how often the batch was tried:
    Dagster never launches a key twice, and a run that failed has to be repeated.
    """
    digest = batch_digest(backlog.new, backlog.vanished)
    tags = {BATCH_TAG: digest}
    if _loads_as_partitions(backlog):
        tags["dagster/asset_partition_range_start"] = backlog.new[0].key
        tags["dagster/asset_partition_range_end"] = backlog.new[-1].key
    return dg.RunRequest(
        run_key=f"{digest}-{earlier_attempts}", job_name=ingest_objects.name, tags=tags
    )


def make_partitions(instance: dg.DagsterInstance, backlog: Backlog) -> None:
    """Make the partitions that a batch needs, one after the other at the end of the window.

    Done here and not by a request in the tick's result: Dagster refuses a result that deletes and
    adds the same key. If the tick ends in between, the next one does it again.
    """
    if not _loads_as_partitions(backlog):
        return
    arriving = [version.key for version in backlog.new]
    for key in superseded_partitions(instance.get_dynamic_partitions("objects"), arriving):
        instance.delete_dynamic_partition("objects", key)
    instance.add_dynamic_partitions("objects", arriving)


def _loads_as_partitions(backlog: Backlog) -> bool:
    """A run of partitions looks only at their objects: it would not see what has vanished."""
    return not backlog.vanished and can_be_partitions(backlog.new)
