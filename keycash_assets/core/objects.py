"""Which objects are new: the hard rule of the platform, as set arithmetic.

The bucket's listing is compared with the ledger, version by version. There is no cursor over time,
so an object that becomes visible late, shares its second with another or is overwritten is seen.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_PARTITIONS_PER_RUN = 100
"""New objects up to this many get a materialization event each; more of them load in bulk.

An event costs Dagster 12 to 60 ms, so a run of 100 spends at most some seconds on them, while the
loading itself takes well under one.
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
class LedgerEntry:
    """The current version of an object as the ledger has it; the columns of ``object_ledger``."""

    object_key: str
    object_etag: str
    last_modified: datetime
    sha256: str | None
    status: str
    envelope: str | None
    records: int
    error: str | None
    discovered_at: datetime

    def is_of(self, version: ObjectVersion) -> bool:
        """Whether the ledger has seen this very version.

        The same ETag with another modification time was put again: with the same content as a
        rule, which only its bytes can prove.
        """
        return self.object_etag == version.etag and self.last_modified == version.last_modified

    @property
    def has_rows(self) -> bool:
        """Whether the object's records stand in ``landing_table``."""
        return self.status in {"loaded", "unchanged"}


def new_versions(
    listed: Iterable[ObjectVersion], ledger: Mapping[str, LedgerEntry]
) -> list[ObjectVersion]:
    """The listed versions that the ledger has not seen, oldest first.

    Args:
        listed: Versions in the bucket.
        ledger: Current entries by object key.
    """
    return sorted(
        version
        for version in listed
        if (entry := ledger.get(version.key)) is None or not entry.is_of(version)
    )


def can_be_partitions(versions: Sequence[ObjectVersion]) -> bool:
    """Whether these versions load as partitions of one run, rather than in bulk."""
    return len(versions) <= MAX_PARTITIONS_PER_RUN and not any(
        refused in version.key for version in versions for refused in _REFUSED_IN_PARTITION_KEYS
    )


def batch_digest(versions: Iterable[ObjectVersion]) -> str:
    """A name for a batch of versions: the same for the same batch, whatever its order."""
    digest = hashlib.sha256()
    for version in sorted(versions):
        for part in (version.key, version.etag, version.last_modified.isoformat()):
            digest.update(part.encode() + b"\0")
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
