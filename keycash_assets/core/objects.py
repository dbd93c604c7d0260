"""Objects of the bucket: what names a version, and how a batch of new ones becomes a run.

Which versions are new is set arithmetic in SQL (``sql/backlog``): the bucket's listing is compared
with the ledger, version by version. There is no cursor over time, so an object that becomes visible
late, shares its second with another or is overwritten is seen.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

MAX_PARTITIONS_PER_RUN = 50
"""New objects up to this many get a partition and a materialization event each.

Each costs Dagster 12 to 60 ms in the run and as much again in the tick, so a run of 50 spends some
seconds on them, while the loading itself takes well under one.
"""

MAX_KEYS_PER_RUN = 5_000
"""New objects up to this many are named to their run; for more of them it lists the bucket anew.

The settings of a run, which Dagster keeps, grow by some forty bytes a key. Of what events tell of,
a tick takes no more than this at once.
"""

MAX_RECENT_PARTITIONS = 1_000
"""How many partitions Dagster keeps: the ledger is the memory, these are for people to look at."""

# Dagster refuses partition keys that hold any of these.
_REFUSED_IN_PARTITION_KEYS = ("...", "\a", "\b", "\f", "\n", "\r", "\t", "\v", "\0")


@dataclass(frozen=True, order=True)
class ObjectVersion:
    """One version of an object as the bucket lists it.

    Attributes:
        last_modified: When the bucket received it.
        key: Its key in the bucket.
        etag: The bucket's name for the version, without quotes.
        size_bytes: Its size as stored.
    """

    last_modified: datetime
    key: str
    etag: str
    size_bytes: int


@dataclass(frozen=True)
class ListingProgress:
    """How far the sensor's listing of the bucket has come: what it remembers between two ticks.

    Attributes:
        resume_after: The key to go on after, where a listing ran out of time; None between two.
        began_at: When that listing, or the last one, began, as a Unix timestamp; None before the
            first.
        retry_at: When what it found, and runs left as it is, may be tried again, as a Unix
            timestamp; None where nothing waits.
    """

    resume_after: str | None = None
    began_at: float | None = None
    retry_at: float | None = None

    @classmethod
    def of_cursor(cls, cursor: str | None) -> "ListingProgress":
        """Read it from the sensor's cursor, which is empty at first."""
        values = json.loads(cursor) if cursor else {}
        return cls(values.get("resume_after"), values.get("began_at"), values.get("retry_at"))

    def cursor(self) -> str:
        """The sensor's cursor that holds it."""
        return json.dumps(asdict(self))

    def is_due(self, now: float, interval_seconds: float, failed_at: float) -> bool:
        """Whether a listing is to begin, or to go on, where events tell what is new in between.

        Args:
            now: As a Unix timestamp. If the clock was put back, a listing is due as well.
            interval_seconds: Time from the beginning of one listing to that of the next.
            failed_at: When a run failed for the last time, 0 for never: of what it was to load a
                listing may have told, and no event.
        """
        return (
            self.resume_after is not None
            or self.began_at is None
            or not 0 <= now - self.began_at < interval_seconds
            or failed_at >= self.began_at
            or (self.retry_at is not None and now >= self.retry_at)
        )

    def listed(self, resume_after: str | None, now: float) -> "ListingProgress":
        """The progress after another tick has listed.

        Args:
            resume_after: The key that the tick came to; None if it came to the end.
            now: When it began to list.
        """
        if self.resume_after is None:
            return ListingProgress(resume_after, now)
        return replace(self, resume_after=resume_after)

    def waiting(self, until: float) -> "ListingProgress":
        """The progress where what was found waits until then, as a Unix timestamp."""
        return replace(self, retry_at=until if self.retry_at is None else min(self.retry_at, until))


def latest_of_each_key(versions: Iterable[ObjectVersion]) -> list[ObjectVersion]:
    """One version of each key, oldest first: of several that were seen, the one modified last."""
    return sorted({version.key: version for version in sorted(versions)}.values())


def can_be_partitions(versions: Sequence[ObjectVersion]) -> bool:
    """Whether these versions load as partitions of one run, rather than in bulk."""
    return len(versions) <= MAX_PARTITIONS_PER_RUN and not any(
        refused in version.key for version in versions for refused in _REFUSED_IN_PARTITION_KEYS
    )


def batch_digest(versions: Iterable[ObjectVersion], vanished: Iterable[str] = ()) -> str:
    """A name for what a run is to take in: the same for the same batch, whatever its order.

    Args:
        versions: New versions.
        vanished: Keys of objects that are no longer in the bucket.
    """
    digest = hashlib.sha256()
    for version in sorted(versions):
        for part in (version.key, version.etag, version.last_modified.isoformat()):
            digest.update(part.encode() + b"\0")
    for key in sorted(vanished):
        digest.update(b"\0" + key.encode() + b"\0")
    return digest.hexdigest()[:32]


def retry_at(last_attempt: datetime, attempts: int) -> datetime:
    """When a batch that earlier runs left as it is may be tried again.

    Args:
        last_attempt: End of the last of them.
        attempts: How many there were, at least 1. The wait doubles from 10 seconds to 10 minutes.
    """
    return last_attempt + timedelta(seconds=min(10 * 2 ** min(attempts - 1, 10), 600))


def superseded_partitions(existing: Sequence[str], arriving: Sequence[str]) -> list[str]:
    """The partitions to delete before ``arriving`` are added at the end, in their order.

    A run loads a contiguous range of partitions, and a range follows the order in which they were
    added: a key that arrives again moves to the end. The oldest beyond the window go as well.

    Args:
        existing: Partition keys in the order in which they were added.
        arriving: Keys of the objects that are about to load.
    """
    moving = set(arriving)
    staying = [key for key in existing if key not in moving]
    surplus = max(0, len(staying) + len(arriving) - MAX_RECENT_PARTITIONS)
    return [*staying[:surplus], *(key for key in existing if key in moving)]
