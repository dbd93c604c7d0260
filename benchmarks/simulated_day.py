"""A simulated day of the sensor as it is built, on a bucket of any size.

It ticks unless a run is loading, takes events, lists for as long as a tick may, and launches a run
with what it found. Every object has to be loaded at last, and none twice, or the race ends.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import BenchmarkError
from keycash_assets.sensors import LISTING_SECONDS

DAY_SECONDS = 86_400.0
ARRIVALS_PER_SECOND = 10.0
EVENTS_LOST = 0.01
EVENT_SECONDS = 1.0
"""Mean delay of an event from the bucket to the queue."""

TICK_SECONDS = 5.0
PAGE_OBJECTS = 1_000
PAGE_SECONDS = 0.15
"""One LIST request to a cloud's S3, one after the other; the local server takes a twelfth of it."""

MAX_KEYS = 5_000
"""Objects that a run is given by their keys, and events that a tick takes; a run of more lists."""

RUN_SECONDS = 4.0
STORED_PER_SECOND = 500_000
"""Stored objects of five records that checks and publishing of a run get through: the race metric
found 400,000 on one machine and 580,000 on another."""

COMPARED_PER_SECOND = 5_000_000
"""Rows of the ledger that a tick reads through to compare with keys from all over it."""

FETCHED_PER_SECOND = 1_000
FULL_LOAD_AT = 6 * 3_600.0

_Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """How the platform comes to know of objects.

    Attributes:
        name: What people call it.
        events: Whether it hears of objects by events.
        reconcile_seconds: From the beginning of one listing to that of the next, at least.
        full_load: Whether the day has its full load.
        prefixes_at_once: How many prefixes are listed at the same time; one is what is built.
    """

    name: str
    events: bool
    reconcile_seconds: float = 0.0
    full_load: bool = False
    prefixes_at_once: int = 1

    @property
    def is_built(self) -> bool:
        """Whether the platform can do it."""
        return self.prefixes_at_once == 1


def full_load_seconds(objects: int) -> float:
    """How long a full load lists and fetches; its checks come on top."""
    return objects / PAGE_OBJECTS * PAGE_SECONDS + objects / FETCHED_PER_SECOND


class SimulatedDay:
    """A simulated day, and what follows until the last object is loaded.

    Args:
        design: How the platform comes to know of objects.
        objects: How many objects the bucket holds.
        seed: Of its random numbers.

    Attributes:
        requests: LIST requests made within the day.
        listings: Seconds that each whole listing took.
        intervals: Seconds from the beginning of each listing to that of the next.
    """

    def __init__(self, design: Design, objects: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        count = round(DAY_SECONDS * ARRIVALS_PER_SECOND)
        self._design, self._objects = design, objects
        self._arrived_at = random.uniform(0, DAY_SECONDS, count)
        self._loaded_at = np.full(count, np.inf)
        # Where each object stands in the listing, which is in the order of keys.
        self._position = random.uniform(0, objects, count)
        self._by_position = np.argsort(self._position)
        self._positions = self._position[self._by_position]
        self._page_seconds = PAGE_SECONDS / design.prefixes_at_once
        heard_at = self._arrived_at + random.exponential(EVENT_SECONDS, count)
        heard_at[random.uniform(size=count) < (EVENTS_LOST if design.events else 1)] = np.inf
        self._queue = np.argsort(heard_at)[: np.isfinite(heard_at).sum()]
        self._heard_at = heard_at[self._queue]
        self._taken = 0
        self.requests = 0.0
        self.listings: list[float] = []
        self.intervals: list[float] = []
        self._simulate()

    def quantiles(self) -> tuple[float, float, float]:
        """Within how many seconds of their arrival half, 99 % and all objects are loaded."""
        half, most, longest = np.quantile(self._loaded_at - self._arrived_at, (0.5, 0.99, 1.0))
        return float(half), float(most), float(longest)

    def _simulate(self) -> None:
        now, began_at, resume_after = 0.0, -np.inf, 0.0
        awaits_full_load = self._design.full_load
        while now < DAY_SECONDS or np.isinf(self._loaded_at).any():
            if now > 3 * DAY_SECONDS:
                raise BenchmarkError(f"{self._design.name}: objects are never loaded.")
            if awaits_full_load and now >= FULL_LOAD_AT:
                awaits_full_load = False
                found = self._listed(0, self._objects, now)
                now += full_load_seconds(self._objects)
                self._load(found, now)
            tick_at, found = now, np.empty(0, int)
            lists = resume_after > 0 or now - began_at >= self._design.reconcile_seconds
            if lists:
                if not resume_after:
                    self.intervals += [now - began_at] if np.isfinite(began_at) else []
                    began_at = now
                pages = LISTING_SECONDS // self._page_seconds + 1
                end = min(resume_after + pages * PAGE_OBJECTS, self._objects)
                found = self._listed(resume_after, end, now)
                now += (end - resume_after) / PAGE_OBJECTS * self._page_seconds
                resume_after = end if end < self._objects else 0.0
                self.listings += [] if resume_after else [now - began_at]
            found = np.union1d(found, self._events(tick_at, max(0, MAX_KEYS - len(found))))
            if lists or len(found):
                now += self._objects / COMPARED_PER_SECOND
            if len(found):
                now = self._run(found, now)
            # The daemon ticks at fixed times, and a tick lets a run end before it looks.
            now = (now // TICK_SECONDS + 1) * TICK_SECONDS

    def _events(self, now: float, room: int) -> _Numbers:
        """Take the objects of so many events that have arrived from the queue, the oldest first."""
        arrived = int(np.searchsorted(self._heard_at, now, side="right"))
        start, self._taken = self._taken, min(arrived, self._taken + room)
        taken = self._queue[start : self._taken]
        new: _Numbers = taken[np.isinf(self._loaded_at[taken])]
        return new

    def _listed(self, start: float, end: float, now: float) -> _Numbers:
        """The objects between two positions that are there when the listing comes by, and new."""
        first, last = np.searchsorted(self._positions, (start, end))
        there = self._by_position[first:last]
        self.requests += (end - start) / PAGE_OBJECTS if now < DAY_SECONDS else 0
        listed_at = now + (self._position[there] - start) / PAGE_OBJECTS * self._page_seconds
        is_new = (self._arrived_at[there] <= listed_at) & np.isinf(self._loaded_at[there])
        new: _Numbers = there[is_new]
        return new

    def _run(self, found: _Numbers, now: float) -> float:
        """Load what a tick found; of more than a run is given by keys, all that a listing finds."""
        if len(found) > MAX_KEYS:
            found = self._listed(0, self._objects, now)
            now += self._objects / PAGE_OBJECTS * PAGE_SECONDS
        now += RUN_SECONDS + len(found) / FETCHED_PER_SECOND + self._objects / STORED_PER_SECOND
        self._load(found, now)
        return now

    def _load(self, found: _Numbers, now: float) -> None:
        if len(np.unique(found)) < len(found) or np.isfinite(self._loaded_at[found]).any():
            raise BenchmarkError(f"{self._design.name}: an object is loaded twice.")
        self._loaded_at[found] = now
