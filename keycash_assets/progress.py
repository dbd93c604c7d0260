"""Long work: its progress on a terminal, and steps of it that go on beside each other."""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the body runs, if a person looks at it.

    Args:
        label: What is being done.
        total: How many objects there are to do.

    Yields:
        A function to call with how many more are done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console  # noqa: PLC0415  only needed here
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (label, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.advance(task, done)


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Hand out items while the next one is made in a thread.

    An exception in the making is raised here, in its place.
    """
    end = object()
    with ThreadPoolExecutor(1) as executor:
        upcoming = executor.submit(next, items, end)
        while (item := upcoming.result()) is not end:
            upcoming = executor.submit(next, items, end)
            yield item  # type: ignore[misc]  # it is not the end


def side_by_side(
    call: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> list[Result]:
    """What a call gives for each item, in their order; the calls are made by this many threads.

    The first exception is raised here, once the calls under way have ended; no more are made.
    """
    results: list[Any] = [None] * len(items)
    waiting = deque(enumerate(items))

    def work() -> None:
        # A thread takes item after item: a future for each would cost as much as a small GET does.
        while True:
            try:
                place, item = waiting.popleft()
            except IndexError:
                return
            results[place] = call(item)

    with ThreadPoolExecutor(threads) as executor:
        workers = [executor.submit(work) for _ in range(min(threads, len(items)))]
        try:
            for worker in as_completed(workers):
                worker.result()
        finally:
            waiting.clear()
    return results
