"""Ten million objects: how long until each new one is seen, by simulation.

The platform hears of an object by an event, or finds it when the listing comes by its prefix. The
simulation loses events, and lists prefix after prefix for as long as a tick may.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.bench import Bench
from benchmarks.results import Figure, RaceResult, Target

OBJECTS = 10_000_000
QUICK_OBJECTS = 1_000_000
HOURS = 6.0
ARRIVALS_PER_SECOND = 20.0
EVENTS_LOST = 0.01
EVENT_SECONDS = 1.0
"""Mean delay of an event from the bucket to the queue."""

PREFIXES = 1_000
TICK_SECONDS = 5.0
LISTING_SECONDS = 20.0
PAGE_OBJECTS = 1_000
PAGE_SECONDS = 0.15
"""One LIST request to a cloud's S3, one after the other; the local server takes a fifth of it."""

DOLLARS_PER_REQUEST = 5e-6


@dataclass(frozen=True)
class Design:
    """How the platform comes to know of objects.

    Attributes:
        name: What people call it.
        events: Whether it hears of objects by events.
        prefixes_at_once: How many prefixes are listed at the same time.
        pause_seconds: Pause between two listings of the whole bucket.
    """

    name: str
    events: bool
    prefixes_at_once: int
    pause_seconds: float = 0.0


DESIGNS = (
    Design("listing alone, one request at a time", events=False, prefixes_at_once=1),
    Design("listing alone, 16 prefixes at a time", events=False, prefixes_at_once=16),
    Design("events, reconciled all the time", events=True, prefixes_at_once=1),
    Design("events, reconciled once an hour", True, 16, pause_seconds=3_600),
)


def race(bench: Bench) -> RaceResult:
    """Simulate ways to see new objects among ten million."""
    objects = bench.objects(OBJECTS, QUICK_OBJECTS)
    figures: list[Figure] = []
    targets: list[Target] = []
    for design in DESIGNS:
        delays, sweep_seconds = _simulate(design, objects, np.random.default_rng(seed=1))
        p50, p99, longest = (float(value) for value in np.quantile(delays, (0.5, 0.99, 1.0)))
        requests = objects / PAGE_OBJECTS * 86_400 / sweep_seconds
        cost = f"{requests:,.0f} LIST requests a day, {requests * DOLLARS_PER_REQUEST:,.2f} USD"
        figures += [
            Figure(f"{design.name}: half are seen within", "s", (p50,), detail=cost),
            Figure(f"{design.name}: 99 % are seen within", "s", (p99,)),
            Figure(f"{design.name}: all are seen within", "s", (longest,)),
        ]
        targets.append(
            Target(
                f"longest delay / time of one listing and a pause, {design.name}",
                longest / sweep_seconds,
                2.0,
                at_most=True,
            )
        )
    return RaceResult(
        "scale",
        f"Simulated: {objects:,} objects, {ARRIVALS_PER_SECOND:g} new ones a second",
        figures,
        targets,
        [
            f"{EVENTS_LOST:.0%} of the events are lost; a LIST request for {PAGE_OBJECTS:,} keys "
            f"takes {PAGE_SECONDS:g} s; {PREFIXES:,} prefixes of equal size; {HOURS:g} hours.",
        ],
    )


def _simulate(
    design: Design, objects: int, random: np.random.Generator
) -> tuple[np.ndarray, float]:
    """When each arriving object is seen.

    Returns:
        The seconds from each arrival until it is seen, and how long one round of all prefixes
        takes with its pause.
    """
    arrivals = round(HOURS * 3_600 * ARRIVALS_PER_SECOND)
    arrived_at = np.sort(random.uniform(0, HOURS * 3_600, arrivals))
    prefix = random.integers(0, PREFIXES, arrivals)
    listed_at, sweep_seconds = _listing_times(design, objects)
    # The next time its prefix is listed after it arrived, in this round or in the one after.
    in_round = (arrived_at - listed_at[prefix]) // sweep_seconds + 1
    found_at = listed_at[prefix] + np.maximum(in_round, 0) * sweep_seconds
    if design.events:
        heard_at = arrived_at + random.exponential(EVENT_SECONDS, arrivals)
        is_lost = random.uniform(size=arrivals) < EVENTS_LOST
        found_at = np.where(is_lost, found_at, np.minimum(found_at, heard_at))
    # What is found between two ticks is seen by the next one.
    seen_at = np.ceil(found_at / TICK_SECONDS) * TICK_SECONDS
    return seen_at - arrived_at, sweep_seconds


def _listing_times(design: Design, objects: int) -> tuple[np.ndarray, float]:
    """When each prefix is listed within a round, and how long a round takes with its pause."""
    pages = -(-objects // PREFIXES // PAGE_OBJECTS) * PAGE_SECONDS / design.prefixes_at_once
    listing = np.arange(PREFIXES) * pages
    # A tick lists for its budget, and the next one begins at the next interval.
    ticks = listing // LISTING_SECONDS
    interval = -(-LISTING_SECONDS // TICK_SECONDS) * TICK_SECONDS + TICK_SECONDS
    listed_at = ticks * interval + listing % LISTING_SECONDS
    whole = PREFIXES * pages // LISTING_SECONDS * interval + PREFIXES * pages % LISTING_SECONDS
    return listed_at, float(whole + design.pause_seconds)
