"""A process that writes expenses through the ORM, in every form, until a line comes in.

    python -m tests.faults.worker NAME SEED OWNER CATEGORY…

It prints a line of JSON before each write and after it, so that whoever kills it knows what was under way.
"""

from __future__ import annotations

import json
import random
import select
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import django

django.setup()

from django.db import DatabaseError, InterfaceError, connection  # noqa: E402 - needs the setup above

import aggregates  # noqa: E402
from aggregates.exceptions import CommitInDoubt  # noqa: E402
from expenses.models import Expense  # noqa: E402
from tests.faults.book import Book  # noqa: E402
from tests.faults.journal import Values, Write  # noqa: E402

FEW = 3
A_MOMENT = 0.05  # seconds between two tries while the database is away
OWNER = int(sys.argv[3]) if len(sys.argv) > 3 else 0


def made(label: str, values: Values) -> Expense:
    return given(Expense(owner_id=OWNER, currency="EUR", description=label), values)


def given(expense: Expense, values: Values) -> Expense:
    amount, day, expense.status, expense.category_id = values
    expense.amount, expense.spent_on = Decimal(amount), Expense._meta.get_field("spent_on").to_python(day)
    return expense


def rows(write: Write) -> Any:
    return Expense.objects.filter(description__in=write.labels)


def saved(write: Write) -> None:
    """Save each expense, new or not."""
    there = {expense.description: expense for expense in rows(write)}
    for label, values in write.after.items():
        (given(there[label], values) if label in there else made(label, values)).save()


def saved_in_a_batch(write: Write) -> None:
    with aggregates.batch():
        saved(write)


def created_in_bulk(write: Write) -> None:
    Expense.objects.bulk_create([made(label, values) for label, values in write.after.items()])


def updated_in_bulk(write: Write) -> None:
    found = [given(expense, write.after[expense.description]) for expense in rows(write)]
    Expense.objects.bulk_update(found, ["amount", "spent_on", "status", "category"])


def updated(write: Write) -> None:
    """Give all the expenses the status that they all have afterwards."""
    ((status,),) = {(status,) for _amount, _day, status, _category in write.after.values()}
    rows(write).update(status=status)


def deleted(write: Write) -> None:
    rows(write).delete()


def deleted_one(write: Write) -> None:
    rows(write).get().delete()


Form = tuple[Callable[[Book], Write], Callable[[Write], None]]
NEW: list[Form] = [
    (lambda book: book.new(), saved),
    (lambda book: book.new(FEW), saved_in_a_batch),
    (lambda book: book.new(FEW), created_in_bulk),
]
CHANGES: list[Form] = [
    (lambda book: book.changed(), saved),
    (lambda book: book.changed(FEW), saved_in_a_batch),
    (lambda book: book.changed(FEW), updated_in_bulk),
    (lambda book: book.changed(FEW, only="status"), updated),
    (lambda book: book.gone(FEW - 1), deleted),
    (lambda book: book.gone(), deleted_one),
]


def write(book: Book, pick: random.Random) -> bool:
    """Make one write, and tell what came of it; return whether it was carried out."""
    choose, carry_out = pick.choice(NEW if len(book.rows) < FEW else NEW + CHANGES)
    wanted = choose(book)
    tell("begun", wanted)
    try:
        carry_out(wanted)
    except (DatabaseError, InterfaceError) as error:
        doubt = isinstance(error, CommitInDoubt)
        if doubt:
            book.forget(wanted.labels)
        connection.close()
        tell("left_in_doubt" if doubt else "refused", wanted)
        return False
    book.carried_out(wanted)
    tell("acknowledged", wanted)
    return True


def tell(word: str, write: Write) -> None:
    print(json.dumps({"told": word, "before": write.before, "after": write.after}), flush=True)  # noqa: T201 - its purpose


def main() -> None:
    """Write until a line comes in."""
    name, seed, _owner, *categories = sys.argv[1:]
    book = Book(name, int(seed), [int(category) for category in categories])
    went_well = True
    while not select.select([sys.stdin], [], [], 0 if went_well else A_MOMENT)[0]:
        went_well = write(book, book.pick)


if __name__ == "__main__":
    main()
