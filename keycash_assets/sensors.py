"""The sensor: what is new in the bucket becomes a run. It fetches, asks ``core`` and reports."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from keycash_assets.assets.landing_table import landing_table
from keycash_assets.backlog import Backlog, find_backlog, find_new
from keycash_assets.bucket import Bucket
from keycash_assets.core.events import read_event_message
from keycash_assets.core.objects import (
    MAX_KEYS_PER_RUN,
    ListingProgress,
    ObjectVersion,
    batch_digest,
    can_be_partitions,
    latest_of_each_key,
    retry_at,
    superseded_partitions,
)
from keycash_assets.errors import EventQueueError, KeycashError, ObjectStoreError
from keycash_assets.event_queue import WAIT_SECONDS, EventQueue, Message
from keycash_assets.jobs import full_load, ingest_objects, replay_objects
from keycash_assets.resources import BucketEvents, ObjectStore, Published

LISTING_SECONDS = 20.0
"""How long a tick lists before it leaves the rest to the next one; Dagster ends a tick after 60."""

WATCH_SECONDS = 4.0
"""How long a tick goes on looking while a listing is cheap; the daemon ticks every 5 s."""

CHEAP_SECONDS = 0.2
"""A listing, with the comparison, that takes longer is not made again within a tick."""

PAUSE_SECONDS = 1.0
"""Between two listings of a tick that find nothing new."""

SETTLING_SECONDS = 0.25
"""After which what is new has to be the same still, for all that is being put to load together.

So long as well between two looks at a run that is loading.
"""

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
    context: dg.SensorEvaluationContext,
    object_store: ObjectStore,
    published: Published,
    bucket_events: BucketEvents,
) -> dg.SensorResult | dg.SkipReason:
    """Loads objects as they arrive in the bucket.

    New is what the bucket has and the ledger has not seen, version by version. Where to look is
    known from a listing of the whole bucket: at every tick, and while it lasts every second if the
    bucket is small; or, with a queue of the bucket's events, now and then, and from the events in
    between. All that a tick finds loads in one run: up to 50 objects as a partition each, up to
    5,000 by their keys, and more of them in bulk. Objects that are no longer in the bucket are
    found by a listing only, and noted by a bulk run as well.
    """
    give_up_at = time.monotonic() + WATCH_SECONDS
    while (unfinished := unfinished_run(context.instance)) is not None:
        if time.monotonic() + SETTLING_SECONDS > give_up_at:
            return dg.SkipReason(f"Run {unfinished} is loading; what it leaves is seen after it.")
        time.sleep(SETTLING_SECONDS)
    now = time.time()
    progress = ListingProgress.of_cursor(context.cursor)
    queue = bucket_events.queue()
    lists = queue is None or progress.is_due(
        now, bucket_events.reconcile_seconds, last_failure(context.instance)
    )
    hints: Hints | None = None
    backlog = Backlog([], [], 0)
    try:
        bucket = object_store.bucket()
        if queue is not None:
            wait_seconds = 0 if lists else WAIT_SECONDS
            hints = take_hints(queue, bucket, published, wait_seconds, context.log)
        if lists or hints is None:
            until = give_up_at if queue is None else 0
            backlog = watch(bucket, published, progress.resume_after, until)
            progress = progress.listed(backlog.resume_after, now)
    except KeycashError as error:
        return dg.SkipReason(f"Not known whether anything is new: {error}")
    if queue is not None and hints is not None:
        delete_settled(queue, hints, context.log)
    # The queue hands out again what is one too many here: no run need list for it.
    room = max(0, MAX_KEYS_PER_RUN - len(backlog.new))
    hinted = hints.new[:room] if hints is not None else ()
    # A key has one partition; and what stands under both y and y/ is listed as two versions of y.
    backlog = replace(backlog, new=latest_of_each_key([*backlog.new, *hinted]))
    cursor = progress.cursor()
    if not backlog.new and not backlog.vanished:
        if hints is not None and not lists:
            return dg.SkipReason(f"Nothing new in {len(hints.keys_of_messages):,} events.")
        resume_after = backlog.resume_after
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
            if lists:
                cursor = progress.waiting(next_attempt.timestamp()).cursor()
            return dg.SensorResult(
                skip_reason=f"{len(backlog.new):,} new and {len(backlog.vanished):,} deleted "
                f"objects, which {len(attempts)} runs left as they are (the last is {last_run}); "
                f"tried again at {next_attempt:%H:%M:%S} UTC.",
                cursor=cursor,
            )
    make_partitions(context.instance, backlog)
    last_run_id = attempts[0].dagster_run.run_id if attempts else None
    return dg.SensorResult(run_requests=[run_request(backlog, last_run_id)], cursor=cursor)


def watch(bucket: Bucket, published: Published, after: str | None, until: float) -> Backlog:
    """Compare the bucket with the ledger, again and again until what is new has settled.

    Args:
        bucket: The bucket.
        published: The ledger.
        after: Where an earlier listing stopped.
        until: When to end, by the monotonic clock, where a listing is cheap.

    Raises:
        ObjectStoreError: The bucket could not be listed.
        WarehouseError: The ledger cannot be read.
    """
    seen: Backlog | None = None
    while True:
        look_at = time.monotonic()
        with published.get_connection() as connection:
            backlog = find_backlog(connection, bucket, after=after, seconds=LISTING_SECONDS)
        now = time.monotonic()
        is_new = bool(backlog.new or backlog.vanished)
        pause = SETTLING_SECONDS if is_new else PAUSE_SECONDS
        if (
            (is_new and backlog == seen)
            or now - look_at > CHEAP_SECONDS
            or now + pause > until
            or after is not None
            or backlog.resume_after is not None
        ):
            return backlog
        seen = backlog
        time.sleep(pause)


def unfinished_run(instance: dg.DagsterInstance) -> str | None:
    """A run that is loading, or about to: until it ends, its batch is not in the ledger."""
    for job in (ingest_objects, full_load, replay_objects):
        runs = instance.get_run_ids(dg.RunsFilter(job_name=job.name, statuses=UNFINISHED), limit=1)
        if runs:
            return runs[0]
    return None


def last_failure(instance: dg.DagsterInstance) -> float:
    """When a run that was to load new objects failed for the last time, 0 for never."""
    failed = dg.RunsFilter(
        job_name=ingest_objects.name,
        statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
    )
    records = instance.get_run_records(failed, limit=1)
    return records[0].end_time or 0 if records else 0


@dataclass(frozen=True)
class Hints:
    """What the events of a tick tell.

    Attributes:
        keys_of_messages: The keys that each message tells of; none where it tells nothing of use.
        new: Versions under these keys that the ledger has not seen.
    """

    keys_of_messages: Mapping[Message, frozenset[str]]
    new: Sequence[ObjectVersion]


def take_hints(
    queue: EventQueue,
    bucket: Bucket,
    published: Published,
    wait_seconds: int,
    log: logging.Logger,
) -> Hints | None:
    """Take messages from the queue, and look in the bucket for what they tell of.

    Returns:
        None where that failed, which is logged: the messages come again, and a listing does
        without them.

    Raises:
        WarehouseError: The ledger cannot be read.
    """
    keys_of_messages: dict[Message, frozenset[str]] = {}
    elsewhere = 0
    try:
        keys: set[str] = set()
        for message in queue.receive(wait_seconds):
            told = read_event_message(message.body, bucket.name, bucket.prefix)
            if keys and len(keys) + len(told.keys) > MAX_KEYS_PER_RUN:
                continue  # the queue hands it out again
            keys |= told.keys
            keys_of_messages[message] = told.keys
            elsewhere += told.elsewhere
            for problem in told.problems:
                log.warning(f"Message {message.message_id} of the event queue: {problem}")
        if not keys_of_messages:
            return Hints({}, [])
        with published.get_connection() as connection:
            new = find_new(connection, bucket, sorted(keys))
    except (EventQueueError, ObjectStoreError) as error:
        log.warning(f"Without events the bucket is listed: {error}")
        return None
    log.info(
        f"{len(keys_of_messages):,} messages tell of {len(keys):,} keys, {len(new):,} of them new, "
        f"and of {elsewhere:,} keys elsewhere."
    )
    return Hints(keys_of_messages, new)


def delete_settled(queue: EventQueue, hints: Hints, log: logging.Logger) -> None:
    """Delete the messages that ask for nothing any more.

    One that tells of something new stays: the queue hands it out again until a tick sees in the
    ledger that it was loaded. So neither a tick nor a run that dies loses it.
    """
    awaited = {version.key for version in hints.new}
    settled = [
        message
        for message, keys in hints.keys_of_messages.items()
        # Content under a/ is listed as a version of a.
        if awaited.isdisjoint(key.rstrip("/") for key in keys)
    ]
    try:
        queue.delete(settled)
    except EventQueueError as error:
        log.warning(str(error))


def run_request(backlog: Backlog, last_run_id: str | None) -> dg.RunRequest:
    """The run that takes in a backlog: as a range of partitions, by keys, or in bulk.

    The run key is made of each object's key and version, and of the last run that tried the batch:
    Dagster never launches a key twice, and a run that failed has to be repeated.
    """
    digest = batch_digest(backlog.new, backlog.vanished)
    tags = {BATCH_TAG: digest}
    config: dict[str, Any] = {}
    if _loads_as_partitions(backlog):
        tags["dagster/asset_partition_range_start"] = backlog.new[0].key
        tags["dagster/asset_partition_range_end"] = backlog.new[-1].key
    elif not backlog.vanished and len(backlog.new) <= MAX_KEYS_PER_RUN:
        keys = [version.key for version in backlog.new]
        config = {"ops": {landing_table.op.name: {"config": {"object_keys": keys}}}}
    return dg.RunRequest(
        run_key=f"{digest}-{last_run_id or 'first'}",
        job_name=ingest_objects.name,
        run_config=config,
        tags=tags,
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
