"""Values that model_bakery puts into fields of ours."""

from __future__ import annotations

import random
from decimal import Decimal


def amount() -> Decimal:
    """Return an amount of either sign that every currency with two decimals can hold."""
    return Decimal(random.randint(-1_000_000, 1_000_000)).scaleb(-2)
