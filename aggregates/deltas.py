"""Arithmetic of images and deltas: plain values in, plain values out, no database.

An image says what a set of rows contributes: ``{values: amounts}``, where ``values`` holds one
value for each dimension and ``amounts`` one number for each measure. A delta has the same shape;
adding it to the image before gives the image after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

Values = tuple[Any, ...]
Amounts = tuple[int | Decimal, ...]
Image = Mapping[Values, Amounts]
Delta = Mapping[Values, Amounts]

# The caller's decimal context may round; sums here are exact or an error.
EXACT = Context(prec=100, traps=[Inexact, InvalidOperation])


def add(images: Iterable[tuple[Values, Amounts]]) -> dict[Values, Amounts]:
    """Return the sum of contributions by values, without those that are zero in every measure."""
    total: dict[Values, Amounts] = {}
    for values, amounts in images:
        held = total.get(values)
        total[values] = amounts if held is None else tuple([_sum(a, b) for a, b in zip(held, amounts, strict=True)])
    return {values: amounts for values, amounts in total.items() if any(amounts)}


def negative(image: Image) -> dict[Values, Amounts]:
    """Return the image with every amount's sign turned."""
    return {values: tuple([_minus(amount) for amount in amounts]) for values, amounts in image.items()}


def net(before: Image, after: Image) -> dict[Values, Amounts]:
    """Return the delta that turns ``before`` into ``after``; empty where nothing changed."""
    return add((*negative(before).items(), *after.items()))


def difference(expected: Amounts, stored: Amounts) -> Amounts:
    """Return what must be added to ``stored`` to make it ``expected``."""
    return tuple([_sum(e, _minus(s)) for e, s in zip(expected, stored, strict=True)])


def project(delta: Delta, positions: Sequence[int]) -> dict[Values, Amounts]:
    """Return the delta of the rollup that keeps only the dimensions at ``positions``."""
    return add((tuple(values[p] for p in positions), amounts) for values, amounts in delta.items())


# By the context's own methods: to enter it takes longer than the arithmetic of a write.


def _sum(a: int | Decimal, b: int | Decimal) -> int | Decimal:
    return a + b if isinstance(a, int) and isinstance(b, int) else EXACT.add(Decimal(a), Decimal(b))


def _minus(amount: int | Decimal) -> int | Decimal:
    return -amount if isinstance(amount, int) else EXACT.minus(amount)
