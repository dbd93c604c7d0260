"""The sensor: what is new in the bucket becomes a run. It fetches, asks ``core`` and reports."""

import json
import time
from collections.abc import Sequence
from datetime import datetime, timezone

import dagster as dg

from keycash_assets.bucket import Bucket
from keycash_assets.core.objects import (
    LedgerEntry,
    ObjectVersion,
    batch_digest,
    can_be_partitions,
    new_versions,
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
    finds loads in one run: up to 100 objects as a partition each, more of them in bulk.
    """
    unfinished = unfinished_run(context.instance)
    if unfinished is not None:
        return dg.SkipReason(f"Run {unfinished} is loading; what it leaves is seen after it.")
    try:
        ledger = published.ledger()
        new, seen, resume_after = list_new(object_store.bucket(), ledger, context.cursor)
    except KeycashError as error:
        return dg.SkipReason(f"Not known whether anything is new: {error}")
    cursor = json.dumps({"resume_after": resume_after}) if resume_after else ""
    if not new:
        so_far = f" so far; the listing goes on after {resume_after}" if resume_after else ""
        return dg.SensorResult(
            skip_reason=f"Nothing new among {seen:,} objects{so_far}.", cursor=cursor
        )
    attempts = context.instance.get_run_records(
        dg.RunsFilter(tags={BATCH_TAG: batch_digest(new)}), limit=20
    )
    if attempts:
        last = datetime.fromtimestamp(attempts[0].end_time or 0, timezone.utc)
        next_attempt = retry_at(last, len(attempts))
        if datetime.now(timezone.utc) < next_attempt:
            return dg.SkipReason(
                f"{len(new):,} new objects, which {len(attempts)} runs left as they are (the last "
                f"is {attempts[0].dagster_run.run_id}); tried again at {next_attempt:%H:%M:%S} UTC."
            )
    make_partitions(context.instance, new)
    return dg.SensorResult(run_requests=[run_request(new, len(attempts))], cursor=cursor)


def unfinished_run(instance: dg.DagsterInstance) -> str | None:
    """A run that is loading, or about to: until it ends, its batch is not in the ledger."""
    for job in (ingest_objects, full_load):
        runs = instance.get_run_ids(dg.RunsFilter(job_name=job.name, statuses=UNFINISHED), limit=1)
        if runs:
            return runs[0]
    return None


def list_new(
    bucket: Bucket, ledger: dict[str, LedgerEntry], cursor: str | None
) -> tuple[list[ObjectVersion], int, str | None]:
    """List the bucket for as long as a tick may, from where the last tick stopped.

    Returns:
        The new versions, how many objects were listed, and the key to go on after, None once the
        listing is through.

    Raises:
        ObjectStoreError: The bucket could not be listed.
    """
    resume_after: str | None = json.loads(cursor)["resume_after"] if cursor else None
    deadline = time.monotonic() + LISTING_SECONDS
    new: list[ObjectVersion] = []
    seen = 0
    for page in bucket.pages(resume_after):
        new += new_versions(page, ledger)
        seen += len(page)
        if page and time.monotonic() > deadline:
            return sorted(new), seen, page[-1].key
    return sorted(new), seen, None


def run_request(new: Sequence[ObjectVersion], earlier_attempts: int) -> dg.RunRequest:
    """The run that loads a batch: as a range of partitions, or in bulk.

    The run key is made of each object's key and version, and of how often the batch was tried:
    Dagster never launches a key twice, and a run that failed has to be repeated.
    """
    digest = batch_digest(new)
    tags = {BATCH_TAG: digest}
    if can_be_partitions(new):
        tags["dagster/asset_partition_range_start"] = new[0].key
        tags["dagster/asset_partition_range_end"] = new[-1].key
    return dg.RunRequest(
        run_key=f"{digest}-{earlier_attempts}", job_name=ingest_objects.name, tags=tags
    )


def make_partitions(instance: dg.DagsterInstance, new: Sequence[ObjectVersion]) -> None:
    """Make the partitions that a batch needs, one after the other at the end of the window.

    Done here and not by a request in the tick's result: Dagster refuses a result that deletes and
    adds the same key. If the tick ends in between, the next one does it again.
    """
    if not can_be_partitions(new):
        return
    arriving = [version.key for version in new]
    for key in superseded_partitions(instance.get_dynamic_partitions("objects"), arriving):
        instance.delete_dynamic_partition("objects", key)
    instance.add_dynamic_partitions("objects", arriving)
