"""Races against real rivals and against the limits of the parts: ``make bench``.

Each race alternates its contenders, so that a busy moment of the machine hits all of them, and
quotes ratios. ``docs/performance.md`` explains the figures.
"""
