"""Which rollup is the smallest that can answer, and which of its rows are meant."""

from __future__ import annotations

import pytest
from django.db.models import Q

from aggregates.definitions import Rollup
from aggregates.exceptions import TotalsNotReady
from aggregates.reads import Part, Ready

SHOP_DAY = Rollup("shop", "kind", "day", name="shop_day")
SHOP_MONTH = Rollup("shop", "kind", "month", name="shop_month")
MONTH = Rollup("kind", "month", slots=16, name="month")
READY = Ready("shop.SaleTotals", {SHOP_DAY: 900, SHOP_MONTH: 90, MONTH: 9})


@pytest.mark.parametrize(
    ("choices", "rollup", "choice"),
    [
        ([{"kind"}], MONTH, {"kind"}),
        ([{"shop"}], SHOP_MONTH, {"shop"}),
        ([{"month"}, {"day"}], MONTH, {"month"}),
        ([{"day"}, {"month"}], MONTH, {"month"}),
        ([{"shop", "day"}], SHOP_DAY, {"shop", "day"}),
        ([set()], MONTH, set()),
    ],
)
def test_the_rollup_with_the_fewest_buckets_answers(choices: list[set[str]], rollup: Rollup, choice: set[str]) -> None:
    assert READY.smallest(*choices) == (rollup, choice)


@pytest.mark.parametrize("day_first", [False, True])
def test_of_equally_small_rollups_the_one_with_fewer_dimensions_answers_then_the_earlier_choice(
    day_first: bool,
) -> None:
    rollups = [SHOP_MONTH, MONTH, SHOP_DAY]
    ready = Ready("shop.SaleTotals", dict.fromkeys(reversed(rollups) if day_first else rollups, 0))
    assert ready.smallest({"kind"}) == (MONTH, {"kind"})
    assert ready.smallest({"shop", "month"}, {"shop", "day"}) == (SHOP_MONTH, {"shop", "month"})
    assert ready.smallest({"shop", "day"}, {"shop", "month"}) == (SHOP_DAY, {"shop", "day"})


@pytest.mark.parametrize("choices", [[{"till"}], [{"till"}, {"kind", "till"}], [{"day", "month"}]])
def test_where_no_ready_rollup_has_all_dimensions_of_a_choice_there_is_no_answer(choices: list[set[str]]) -> None:
    with pytest.raises(TotalsNotReady, match=r"SaleTotals.*rebuild_totals"):
        READY.smallest(*choices)


@pytest.mark.parametrize(
    ("part", "condition"),
    [
        (Part(MONTH), Q(rollup="month")),
        (Part(MONTH, "month"), Q(rollup="month")),
        (Part(SHOP_DAY, "day", 1), Q(rollup="shop_day") & Q(day__gte=1)),
        (Part(SHOP_DAY, "day", None, 3), Q(rollup="shop_day") & Q(day__lt=3)),
        (Part(SHOP_DAY, "day", 0, 3), Q(rollup="shop_day") & Q(day__gte=0) & Q(day__lt=3)),
    ],
)
def test_a_part_is_the_rows_of_its_rollup_in_a_half_open_range(part: Part, condition: Q) -> None:
    assert part.condition == condition
