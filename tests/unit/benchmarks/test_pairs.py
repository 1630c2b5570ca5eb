"""Timing side by side, with a clock and samples of the test's own."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.pairs import Patience, Ratio, interleaved, is_steady, summary


def clock(step=1.0):
    ticks = itertools.count()
    return lambda: next(ticks) * step


def test_the_ratio_is_what_the_second_costs_in_units_of_the_first():
    found = interleaved(lambda: 2.0, lambda: 3.0, Patience(100), clock=clock())
    assert found == Ratio(1.5, 1.5, 1.5, runs=5)


def test_the_two_take_turns_as_a_b_b_a_after_one_of_each_that_does_not_count():
    order = []

    def sample(name):
        return lambda: order.append(name) or 1.0

    interleaved(sample("A"), sample("B"), Patience(100, fewest=2, most=2), clock=clock())
    assert "".join(order) == "AB" + "ABBA" * 2


def test_a_machine_that_slows_down_steadily_changes_no_ratio():
    slowness = itertools.count(1)
    found = interleaved(lambda: 1.0 * next(slowness), lambda: 2.0 * next(slowness), Patience(100), clock=clock())
    assert found == Ratio(2.0, 2.0, 2.0, runs=5)


def test_an_unsteady_pair_ends_when_the_time_is_up():
    costs = itertools.cycle([1.0, 1.0, 5.0, 5.0, 9.0, 9.0])
    assert interleaved(lambda: 1.0, lambda: next(costs), Patience(7, fewest=2), clock=clock()).runs == 8


def test_a_pair_has_its_fewest_rounds_though_the_time_is_up():
    assert interleaved(lambda: 1.0, lambda: 1.0, Patience(1, fewest=4), clock=clock()).runs == 4


def test_a_pair_that_takes_three_times_its_time_ends_before_that():
    assert interleaved(lambda: 1.0, lambda: 1.0, Patience(1, fewest=9), clock=clock()).runs == 4


def test_what_is_dear_is_not_done_once_more_to_get_warm():
    calls = []
    interleaved(lambda: 1.0, lambda: calls.append(1) or 1.0, Patience(9, fewest=1, most=1, warm=False), clock=clock())
    assert len(calls) == 2


def test_low_and_high_are_quartiles():
    assert summary([1, 2, 3, 4, 5]) == Ratio(3, 2, 4, runs=5)
    assert summary([7]) == Ratio(7, 7, 7, runs=1)


@pytest.mark.parametrize(
    ("ratios", "steady"),
    [([1.0] * 4, False), ([1.0] * 5, True), ([1.0, 2.0] * 10, False), ([1.0, 1.001] * 10, True)],
)
def test_a_median_is_steady_once_it_is_known_to_a_hundredth(ratios, steady):
    assert is_steady(ratios, 0.01) is steady
