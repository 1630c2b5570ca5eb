"""Arithmetic of images and deltas."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates import deltas

pytestmark = pytest.mark.once
DECIMALS = st.integers(-(2**63), 2**63).map(lambda n: Decimal(n).scaleb(-4))
AMOUNTS = st.tuples(st.integers(), DECIMALS)
VALUES = st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2))
IMAGES = st.dictionaries(VALUES, AMOUNTS)


def without_zeros(image: deltas.Image) -> dict[deltas.Values, deltas.Amounts]:
    return {values: amounts for values, amounts in image.items() if any(amounts)}


@given(before=IMAGES, after=IMAGES)
def test_the_net_added_to_the_image_before_gives_the_image_after(before: deltas.Image, after: deltas.Image) -> None:
    net = deltas.net(before, after)
    assert deltas.add([*before.items(), *net.items()]) == without_zeros(after)


@given(image=IMAGES)
def test_the_net_of_an_image_and_itself_is_empty(image: deltas.Image) -> None:
    assert deltas.net(image, image) == {}


@given(one=IMAGES, other=IMAGES)
def test_no_bucket_of_a_net_is_zero_in_every_measure(one: deltas.Image, other: deltas.Image) -> None:
    assert all(any(amounts) for amounts in deltas.net(one, other).values())


@given(contributions=st.lists(st.tuples(VALUES, AMOUNTS)), order=st.randoms())
def test_a_sum_does_not_depend_on_order(contributions: list[tuple[deltas.Values, deltas.Amounts]], order) -> None:
    shuffled = contributions[:]
    order.shuffle(shuffled)
    assert deltas.add(shuffled) == deltas.add(contributions)


def test_a_move_within_a_bucket_of_a_coarser_rollup_cancels_out() -> None:
    delta = deltas.net({("a", 1): (5, 1)}, {("a", 2): (5, 1)})
    assert deltas.project(delta, [0]) == {}
    assert deltas.project(delta, [1]) == {(1,): (-5, -1), (2,): (5, 1)}


def test_a_projection_may_change_the_order_of_dimensions() -> None:
    assert deltas.project({("a", 1, None): (5,)}, [2, 0]) == {(None, "a"): (5,)}


def test_a_bucket_that_is_zero_in_one_measure_only_is_kept() -> None:
    assert deltas.add([(("a",), (5, 1)), (("a",), (-5, 0))]) == {("a",): (0, 1)}


def test_null_the_empty_string_and_the_word_none_are_three_buckets() -> None:
    contributions = [((value,), (1,)) for value in (None, "", "None")]
    assert len(deltas.add(contributions)) == 3


def test_sums_do_not_round_in_a_caller_s_decimal_context() -> None:
    large, small = Decimal("922337203685477.5807"), Decimal("0.0001")
    with localcontext() as context:
        context.prec = 3
        total = deltas.add([((), (large,)), ((), (small,))])[()][0]
        negative = deltas.negative({(): (large,)})[()][0]
    assert total == Decimal("922337203685477.5808")
    assert negative == Decimal("-922337203685477.5807")
