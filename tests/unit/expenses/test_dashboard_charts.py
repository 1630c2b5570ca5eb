"""Where the bars of a chart stand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expenses.dashboard import charts

amounts = st.decimals(-(10**12), 10**12, places=4)


def test_amounts_lie_upon_each_other_and_refunds_below_zero() -> None:
    chart = charts.stacked([[Decimal(10), Decimal(0)], [Decimal(20), Decimal(-10)]])
    assert chart.ticks == ["30", "20", "10", "0", "−10"]
    assert chart.lines == ["0.00", "55.00", "110.00", "165.00", "220.00"]
    assert chart.zero == "165.00"
    places = [(bar.series, bar.period, bar.y, bar.height) for bar in chart.bars]
    assert places == [(0, 0, "110.00", "55.00"), (1, 0, "0.00", "110.00"), (1, 1, "165.00", "55.00")]
    assert [(bar.x, bar.width) for bar in chart.bars] == [("95.00", "310.00")] * 2 + [("595.00", "310.00")]


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(amounts, min_size=n, max_size=n), min_size=1, max_size=5)))
def test_every_bar_is_in_the_box_and_as_high_as_its_amount(series: list[list[Decimal]]) -> None:
    chart = charts.stacked(series)
    drawn = {(bar.series, bar.period): bar for bar in chart.bars}
    assert set(drawn) == {(n, i) for n, amounts in enumerate(series) for i, amount in enumerate(amounts) if amount}
    for bar in chart.bars:
        assert float(bar.y) >= -0.01
        assert float(bar.y) + float(bar.height) <= charts.HEIGHT + 0.02
        assert float(bar.x) + float(bar.width) <= charts.WIDTH
        below = series[bar.series][bar.period] < 0
        assert float(bar.y) >= float(chart.zero) - 0.01 if below else float(bar.y) <= float(chart.zero) + 0.01


@given(amounts, amounts)
def test_ticks_are_few_round_and_around_all(one: Decimal, other: Decimal) -> None:
    lowest, highest = float(min(one, other, 0)), float(max(one, other, 0))
    ticks = charts.scale(lowest, highest)
    assert ticks[0] <= lowest + abs(lowest) * 1e-9
    assert ticks[-1] >= highest - abs(highest) * 1e-9
    assert 0.0 in ticks
    assert 2 <= len(ticks) <= charts.TICKS + 2


def test_a_chart_of_nothing_is_empty() -> None:
    assert charts.stacked([]).bars == charts.stacked([[Decimal(0)]]).bars == []


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (1500, "1.5k"), (-2e7, "−20M"), (0.25, "0.25"), (3e9, "3bn"), (1e12, "1T")]
)
def test_an_axis_is_labelled_shortly(amount: float, text: str) -> None:
    assert charts.compact(amount) == text


@given(st.lists(st.lists(st.integers(0, 12), unique=True, max_size=7), max_size=4))
def test_no_two_keys_of_a_chart_have_the_same_colour(keys: list[list[int]]) -> None:
    for names, colours in zip(keys, charts.colours(keys, 7), strict=True):
        assert set(colours) == set(names)
        assert len(set(colours.values())) == len(names)
        assert set(colours.values()) <= set(range(7))


def test_a_key_keeps_its_colour_from_chart_to_chart() -> None:
    first, second = charts.colours([["a", "b", "c"], ["c", "d", "a"]], 7)
    assert (second["a"], second["c"]) == (first["a"], first["c"])


def test_no_bar_is_too_short_to_be_seen_and_none_is_longer_than_the_longest() -> None:
    assert charts.share(Decimal(5), Decimal(-10)) == "50.00"
    assert charts.share(Decimal("0.01"), Decimal(10**9)) == "0.60"
    assert charts.share(Decimal(0), Decimal(10)) == charts.share(Decimal(0), Decimal(0)) == "0"
