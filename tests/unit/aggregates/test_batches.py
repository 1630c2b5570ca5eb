"""Long sequences in bounded pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aggregates.batches import batched


@given(items=st.lists(st.integers()), size=st.integers(1, 10))
def test_batches_hold_every_item_once_in_order_and_no_more_than_their_size(items: list[int], size: int) -> None:
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(0 < len(batch) <= size for batch in batches)


def test_a_generator_is_read_no_further_than_needed() -> None:
    read: list[int] = []
    batches = batched((read.append(n) or n for n in range(10)), 3)
    assert next(batches) == [0, 1, 2]
    assert read == [0, 1, 2]
