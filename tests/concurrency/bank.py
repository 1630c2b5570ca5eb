"""A process that moves amounts between eight buckets, as a bank moves money between accounts.

    python -m tests.concurrency.bank SEED MOVES

Each move takes an amount off one expense and adds it to another, in one transaction.
"""

from __future__ import annotations

import random
import sys
from decimal import Decimal

import django

django.setup()

import aggregates  # noqa: E402 - needs the setup above
from aggregates import transactions  # noqa: E402
from expenses.models import Expense  # noqa: E402


def move(pick: random.Random) -> None:
    """Move a random amount between two random expenses."""
    amount = Decimal(pick.randrange(1, 10_000)) / 100
    keys = list(Expense.objects.order_by("pk").values_list("pk", flat=True))
    giver, taker = pick.sample(keys, 2)

    def transfer() -> None:
        with aggregates.batch():
            # In the order of their keys, as whoever locks several rows should.
            for expense in Expense.objects.select_for_update().filter(pk__in=[giver, taker]).order_by("pk"):
                expense.amount += amount if expense.pk == taker else -amount
                expense.save(update_fields=["amount"])

    transactions.run(transfer)


def main() -> None:
    """Make the moves."""
    pick = random.Random(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        move(pick)


if __name__ == "__main__":
    main()
