"""Steps of long work that go on beside each other."""

import threading

import pytest

from keycash_assets.progress import side_by_side


def test_results_stand_in_the_order_of_the_items() -> None:
    """In the order of completion, the bytes of one object would be taken for another's."""
    second_is_done = threading.Event()

    def call(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(30)
        elif number == 1:
            second_is_done.set()
        return number * 10

    assert side_by_side(call, [0, 1, 2], threads=2) == [0, 10, 20]


def test_calls_are_made_by_no_more_threads_than_asked_for() -> None:
    """Each open request costs the store and the machine something."""
    started: set[int] = set()

    def call(_: int) -> None:
        started.add(threading.get_ident())

    side_by_side(call, range(1_000), threads=3)
    assert len(started) <= 3
    assert side_by_side(call, [], threads=3) == []


def test_the_first_exception_ends_the_work() -> None:
    """A store that fails would be asked for thousands of objects more, each in vain."""
    made: list[int] = []
    failed = threading.Event()

    def call(number: int) -> None:
        made.append(number)
        if number == 0:
            failed.set()
            raise OSError("the store is gone")
        assert failed.wait(30)

    with pytest.raises(OSError, match="the store is gone"):
        side_by_side(call, range(100_000), threads=4)
    assert len(made) < 100_000
