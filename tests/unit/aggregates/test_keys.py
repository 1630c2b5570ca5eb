"""Keys of buckets."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregates.keys import bucket_key

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    TEXTS,
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40),
    st.uuids(),
)
BUCKETS = st.tuples(TEXTS, st.lists(SCALARS, max_size=4))

NAIVE = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - of a project without time zones


def identity(bucket: tuple[str, list[Any]]) -> Any:
    rollup, values = bucket
    return rollup, [(type(value), value) for value in values]


@given(one=BUCKETS, other=BUCKETS)
def test_different_buckets_have_different_keys(one: tuple[str, list[Any]], other: tuple[str, list[Any]]) -> None:
    assert (bucket_key(*one) == bucket_key(*other)) == (identity(one) == identity(other))


@given(text=TEXTS, cut=st.integers(0, 20))
def test_moving_characters_between_neighbours_gives_another_key(text: str, cut: int) -> None:
    whole, parts = ["x" + text, "y"], ["x" + text[:cut], text[cut:] + "y"]
    assert (bucket_key("r", whole) == bucket_key("r", parts)) == (whole == parts)


@pytest.mark.parametrize(
    "values",
    [
        [[None], [""], ["None"], ["n"], ["\0"], [], [None, None], [0], [False], ["0"], ["False"]],
        [[1], ["1"], [True], [Decimal(1)], [uuid.UUID(int=1)], ["i"], [-1]],
        [["a", "b"], ["asb"], ["ab", ""], ["", "ab"], ["ab"], ["a", None, "b"], ["b", "a"], ["a\0\0\0\x01sb"]],
        [["a\0\0\0\x01s", "b"], ["a", "\0\0\0\x01sb"], ["s\0\0\0\x01a"], ["a"]],
        [[dt.date(2026, 1, 1)], ["2026-01-01"], [NAIVE], [NAIVE.replace(tzinfo=dt.UTC)]],
        [["é"], ["e\u0301"], ["E"], ["e"], ["e "]],
    ],
)
def test_lookalikes_are_different_buckets(values: list[list[Any]]) -> None:
    assert len({bucket_key("r", one) for one in values}) == len(values)


def test_the_rollup_s_name_is_not_a_value() -> None:
    assert bucket_key("r", ["a"]) != bucket_key("ra", []) != bucket_key("r", ["a", ""])


@given(bucket=BUCKETS, slot=st.integers(0, 255))
def test_a_key_is_a_uuid_of_version_8_which_mariadb_stores_and_sorts_by_its_bytes(
    bucket: tuple[str, list[Any]], slot: int
) -> None:
    key = bucket_key(*bucket, slot)
    assert (key.version, key.variant) == (8, uuid.RFC_4122)
    assert key.bytes[8] > 0x80
    assert key.bytes[-1] == slot


@given(bucket=BUCKETS, slots=st.lists(st.integers(0, 255), min_size=2, max_size=2, unique=True))
def test_slots_differ_in_the_last_byte_alone(bucket: tuple[str, list[Any]], slots: list[int]) -> None:
    one, other = (bucket_key(*bucket, slot) for slot in slots)
    assert one.bytes[:15] == other.bytes[:15]
    assert [one.bytes[15], other.bytes[15]] == slots


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal("-0.00"), Decimal(0)),
        (Decimal("1E+3"), Decimal(1000)),
        (
            dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC),
            dt.datetime(2026, 3, 7, 8, 30, tzinfo=ZoneInfo("America/St_Johns")),
        ),
    ],
)
def test_one_value_written_in_two_ways_is_one_bucket(one: Any, other: Any) -> None:
    assert bucket_key("r", [one]) == bucket_key("r", [other])


def test_a_key_does_not_depend_on_the_decimal_context() -> None:
    values = [Decimal("922337203685477.5807")]
    key = bucket_key("r", values)
    with localcontext() as context:
        context.prec = 3
        assert bucket_key("r", values) == key


@pytest.mark.parametrize("value", [1.5, b"bytes", [], {}, dt.timedelta(1), dt.time(1)], ids=repr)
def test_a_value_that_cannot_identify_a_bucket_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot identify a bucket"):
        bucket_key("r", [value])


def test_a_key_stays_the_same_from_release_to_release() -> None:
    values = [None, True, 7, "bolt", dt.date(2026, 3, 7), Decimal("1.25"), uuid.UUID(int=9)]
    assert bucket_key("stock", values, 3) == uuid.UUID("343b95a9-262e-8f2c-a680-c168d54be503")
