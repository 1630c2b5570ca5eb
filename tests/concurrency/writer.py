"""A process that writes expenses until it is told to stop by a line on standard input.

    python -m tests.concurrency.writer SEED

It prints a line after each write, so that whoever started it knows that it is at work.
"""

from __future__ import annotations

import random
import select
import sys
from decimal import Decimal

import django

django.setup()

from expenses.models import Category, Expense, Status  # noqa: E402 - needs the setup above


def write(pick: random.Random) -> None:
    """Make one random write to one random expense."""
    keys = list(Expense.objects.values_list("pk", flat=True)[:200])
    categories = [*Category.objects.all(), None]
    expense = Expense.objects.get(pk=pick.choice(keys))
    choice = pick.randrange(4)
    if choice == 0:
        expense.amount = Decimal(pick.randrange(-100_000, 100_000)) / 100
        expense.save(update_fields=["amount"])
    elif choice == 1:
        Expense.objects.filter(pk=expense.pk).update(category=pick.choice(categories))
    elif choice == 2:
        expense.status = pick.choice(Status.values)
        expense.save()
    else:
        expense.pk = None
        expense._state.adding = True
        expense.save()


def main() -> None:
    """Write until a line comes in."""
    pick = random.Random(int(sys.argv[1]))
    written = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        write(pick)
        written += 1
        print(written, flush=True)  # noqa: T201 - the signal that it is at work


if __name__ == "__main__":
    main()
