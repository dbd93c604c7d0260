"""Ten million objects: how long until each new one is loaded, by simulation."""

import numpy as np

from benchmarks.bench import Bench
from benchmarks.results import Figure, RaceResult, Target
from benchmarks.simulated_day import (
    ARRIVALS_PER_SECOND,
    COMPARED_PER_SECOND,
    EVENTS_LOST,
    FETCHED_PER_SECOND,
    PAGE_OBJECTS,
    PAGE_SECONDS,
    RUN_SECONDS,
    STORED_PER_SECOND,
    Design,
    SimulatedDay,
    full_load_seconds,
)

OBJECTS = 10_000_000
QUICK_OBJECTS = 1_000_000
DOLLARS_PER_REQUEST = 5e-6
MOST_HALF_SECONDS = 60.0
"""Half of the objects are to be loaded within a minute, with events."""

DESIGNS = (
    Design("listing alone", events=False),
    Design("events, listed every 300 s", events=True, reconcile_seconds=300),
    Design("events, listed every hour", events=True, reconcile_seconds=3_600),
    Design("events, every hour, a full load", True, reconcile_seconds=3_600, full_load=True),
    Design("events, every hour, 16 prefixes", True, reconcile_seconds=3_600, prefixes_at_once=16),
)


def race(bench: Bench) -> RaceResult:
    """Simulate a day in which new objects arrive among ten million."""
    objects = bench.objects(OBJECTS, QUICK_OBJECTS)
    figures: list[Figure] = []
    targets: list[Target] = []
    for design in DESIGNS:
        bench.say(f"simulating {design.name}")
        days = [SimulatedDay(design, objects, seed) for seed in range(bench.runs)]
        half, most, longest = np.array([day.quantiles() for day in days]).T.tolist()
        requests = float(np.median([day.requests for day in days]))
        listing = float(np.median([np.median(day.listings) for day in days]))
        cost = f"{requests:,.0f} LIST requests, {requests * DOLLARS_PER_REQUEST:,.2f} USD"
        remark = f"{cost}; a listing takes {listing / 60:,.0f} min"
        role, remark = ("ours", remark) if design.is_built else ("part", f"not built; {remark}")
        figures += [
            Figure(f"{design.name}: half loaded within", "s", tuple(half), role, remark),
            Figure(f"{design.name}: 99 % loaded within", "s", tuple(most), role),
            Figure(f"{design.name}: all loaded within", "s", tuple(longest), role),
        ]
        if design.is_built:
            ratios = [day.quantiles()[2] / max(day.intervals) for day in days]
            worst = float(np.median(ratios))
            name = f"{design.name}: longest wait / longest time between listings"
            targets.append(Target(name, worst, 2.0, at_most=True))
            if design.events:
                name = f"{design.name}: seconds within which half are loaded"
                targets.append(Target(name, float(np.median(half)), MOST_HALF_SECONDS, True))
    full_load = Figure(
        "the full load, which stops all ticks",
        "s",
        (full_load_seconds(objects),),
        "part",
        "calculated: it lists and fetches; metric and checks come on top",
    )
    return RaceResult(
        "scale",
        f"Simulated: {objects:,} objects, {ARRIVALS_PER_SECOND:g} new ones a second for a day",
        [*figures, full_load],
        targets,
        [
            f"Assumed: {EVENTS_LOST:.0%} of the events are lost; a LIST request for "
            f"{PAGE_OBJECTS:,} keys takes {PAGE_SECONDS:g} s; keys arrive anywhere in the listing; "
            f"a run takes {RUN_SECONDS:g} s, a second for each {FETCHED_PER_SECOND:,} objects it "
            f"loads and for each {STORED_PER_SECOND:,} that are stored; comparing takes a "
            f"second for each {COMPARED_PER_SECOND:,} that are stored; a full load fetches "
            f"{FETCHED_PER_SECOND:,} objects a second, once in the day whose "
            "name says so. Each round has another seed.",
        ],
    )
