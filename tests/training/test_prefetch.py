import threading
import time

import pytest

from edgekd.training.prefetch import Prefetch


def test_things_come_in_any_order_whatever_was_made_ahead():
    for workers in (0, 1, 3):
        made = Prefetch(lambda number: number * 10, workers)
        assert [made.get(number) for number in (0, 1, 2, 7, 8, 3, 4)] == [0, 10, 20, 70, 80, 30, 40]
        made.close()


def test_the_next_ones_are_made_meanwhile_and_each_once():
    asked = []
    third = threading.Event()

    def make(number):
        asked.append(number)
        if number == 2:
            third.set()
        return number

    made = Prefetch(make, 1)
    assert made.get(0) == 0
    assert third.wait(10)
    assert [made.get(number) for number in (1, 2)] == [1, 2]
    made.close()
    assert len(asked) == len(set(asked))


def test_what_went_wrong_ahead_is_raised_when_its_turn_comes():
    def make(number):
        if number == 1:
            raise ValueError("of 1")
        return number

    made = Prefetch(make, 2)
    assert made.get(0) == 0
    with pytest.raises(ValueError, match="of 1"):
        made.get(1)
    assert made.get(2) == 2
    made.close()


def test_closing_waits_for_what_is_being_made_alone():
    begun = threading.Event()
    asked = []

    def make(number):
        asked.append(number)
        if number == 1:
            begun.set()
            time.sleep(0.2)
        return number

    before = set(threading.enumerate())
    made = Prefetch(make, 1)
    made.get(0)
    assert begun.wait(10)
    made.close()
    assert asked == [0, 1]
    assert set(threading.enumerate()) <= before
