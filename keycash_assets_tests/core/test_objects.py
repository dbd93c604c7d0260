"""Batches and the window of partitions: pure functions, so every input is tried."""

from datetime import datetime, timedelta, timezone
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from keycash_assets.core import objects
from keycash_assets.core.objects import ObjectVersion, batch_digest, superseded_partitions

KEYS = st.text("ab/.é", min_size=1, max_size=4)
VERSIONS = st.builds(
    ObjectVersion,
    st.integers(0, 3).map(lambda n: datetime(2022, 1, 1, tzinfo=timezone.utc) + timedelta(0, n)),
    KEYS,
    st.sampled_from(["e1", "e2", "e"]),
    st.integers(0, 9),
)


@given(
    existing=st.lists(KEYS, unique=True, max_size=12),
    arriving=st.lists(KEYS, unique=True, max_size=8),
    window=st.integers(1, 10),
)
def test_partitions_stay_within_the_window_and_the_arriving_ones_stand_together_at_its_end(
    existing: list[str], arriving: list[str], window: int
) -> None:
    """Dagster slows down with partitions that nobody deletes; a range takes what stands between."""
    with mock.patch.object(objects, "MAX_RECENT_PARTITIONS", window):
        deleted = superseded_partitions(existing, arriving)
    assert len(deleted) == len(set(deleted))
    assert set(deleted) <= set(existing)
    left = [key for key in existing if key not in deleted]
    # The oldest leave, and of those that stay no more than must.
    staying = [key for key in existing if key not in arriving]
    room = max(0, window - len(arriving))
    assert left == staying[max(0, len(staying) - room) :]
    # What is added is in the order of arrival, since none of it is there any more.
    assert set(left).isdisjoint(arriving)
    assert len(left) + len(arriving) <= max(window, len(arriving))


@given(
    versions=st.lists(VERSIONS, max_size=5, unique_by=lambda version: version.key), data=st.data()
)
def test_a_batch_has_one_name_whatever_its_order(
    versions: list[ObjectVersion], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(versions))
    assert batch_digest(shuffled) == batch_digest(versions)


@given(
    first=st.lists(VERSIONS, max_size=3, unique_by=lambda version: version.key),
    second=st.lists(VERSIONS, max_size=3, unique_by=lambda version: version.key),
    vanished=st.lists(KEYS, max_size=2, unique=True),
    vanished_too=st.lists(KEYS, max_size=2, unique=True),
)
def test_batches_of_other_versions_have_other_names(
    first: list[ObjectVersion],
    second: list[ObjectVersion],
    vanished: list[str],
    vanished_too: list[str],
) -> None:
    """Dagster launches a run key once: under a name that is taken, a batch would never load."""

    def content(versions: list[ObjectVersion], keys: list[str]) -> tuple[set[object], set[str]]:
        return {(v.key, v.etag, v.last_modified) for v in versions}, set(keys)

    same = content(first, vanished) == content(second, vanished_too)
    assert (batch_digest(first, vanished) == batch_digest(second, vanished_too)) == same


@given(version=VERSIONS, key=KEYS, etag=st.text("ef1", min_size=1, max_size=3))
def test_the_name_of_a_batch_changes_with_a_key_and_with_an_etag(
    version: ObjectVersion, key: str, etag: str
) -> None:
    """An object that is put again, in the same second even, is another batch."""
    at, size_bytes = version.last_modified, version.size_bytes
    name = batch_digest([version])
    other_key = batch_digest([ObjectVersion(at, key, version.etag, size_bytes)])
    other_etag = batch_digest([ObjectVersion(at, version.key, etag, size_bytes)])
    assert (name == other_key) == (key == version.key)
    assert (name == other_etag) == (etag == version.etag)
