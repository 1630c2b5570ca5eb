"""Demo data: the same people, categories and expenses wherever and whenever they are loaded."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import DEFAULT_DB_ALIAS

from aggregates import transactions
from expenses import currencies
from expenses.models import Category, Expense, Status

FIRST_DAY, LAST_DAY = dt.date(2025, 1, 1), dt.date(2026, 12, 31)
EXPENSES = 20_000
BATCH_SIZE = 1_000
SEED = 20_250_101
PAID_AFTER = 60  # days
NAMESPACE = uuid.UUID("4532f9c9-04cd-4810-94b2-6187c930d87d")

SUPERUSER = "admin"
OWNERS = ("ada", "ben", "cleo")


@dataclass(frozen=True)
class Kind:
    """What a category's expenses are like: words to describe one, and prices in whole euros."""

    words: tuple[str, ...]
    low: int
    high: int


KINDS = {
    "Conferences": Kind(("Ticket", "Workshop fee", "Speaker dinner"), 40, 1_900),
    "Flights": Kind(("Lisbon, return", "Tokyo, return", "Kuwait City, one way", "Berlin, return"), 70, 2_400),
    "Hardware": Kind(("Laptop", "Monitor", "Keyboard", "Docking station"), 25, 2_800),
    "Lodging": Kind(("Hotel, one night", "Hotel, three nights", "Guest house"), 60, 900),
    "Meals": Kind(("Lunch with a customer", "Team dinner", "Breakfast on the road"), 6, 180),
    "Mileage": Kind(("Visit to a customer", "Airport and back"), 5, 140),
    "Office supplies": Kind(("Paper", "Toner", "Whiteboard markers"), 3, 160),
    "Postage": Kind(("Parcel", "Registered letter"), 2, 60),
    "Software": Kind(("Licence, one year", "Licence, one month"), 5, 1_200),
    "Taxi": Kind(("Airport to hotel", "Late ride home", "Station to customer"), 8, 95),
    "Training": Kind(("Online course", "Language course", "Books"), 15, 1_500),
    "Trains": Kind(("Day return", "Season ticket", "Night train"), 9, 320),
}

# An owner's home currency comes first; the number is what a euro is worth in the currency.
CURRENCIES = {"ada": ("EUR", "KWD", "JPY"), "ben": ("JPY", "EUR", "KWD"), "cleo": ("KWD", "EUR", "JPY")}
WORTH = {"EUR": Decimal(1), "JPY": Decimal(165), "KWD": Decimal("0.335")}


@dataclass(frozen=True)
class Sample:
    """One demo expense, before owner and category have keys. ``amount`` in major units."""

    id: uuid.UUID
    owner: str
    category: str | None
    amount: Decimal
    currency: str
    spent_on: dt.date
    status: Status
    description: str


def samples(count: int, first_day: dt.date, last_day: dt.date) -> Iterator[Sample]:
    """Yield demo expenses spent from ``first_day`` to ``last_day``, both included.

    Nothing but the arguments decides what they are; only integers are drawn, so that no rounding
    of floats differs between machines.
    """
    rng = random.Random(SEED)  # noqa: S311 - made-up data, not a secret
    days = (last_day - first_day).days + 1
    for number in range(count):
        owner = rng.choice(OWNERS)
        category = rng.choice(tuple(KINDS))
        currency = rng.choices(CURRENCIES[owner], weights=(8, 2, 1))[0]
        age = rng.randrange(days)
        refund = rng.randrange(25) == 0
        words = rng.choice(KINDS[category].words)
        yield Sample(
            id=uuid.uuid5(NAMESPACE, str(number)),
            owner=owner,
            category=None if rng.randrange(33) == 0 else category,
            amount=_price(rng, KINDS[category], currency) * (-1 if refund else 1),
            currency=currency,
            spent_on=last_day - dt.timedelta(days=age),
            status=_status(rng, age),
            description=f"Refund: {words}" if refund else words,
        )


def _price(rng: random.Random, kind: Kind, currency: str) -> Decimal:
    """Return a price in the currency's smallest units, most of them near the low end."""
    share = Decimal(rng.randrange(1, 1_000) * rng.randrange(1, 1_000)).scaleb(-6)
    euros = kind.low + (kind.high - kind.low) * share
    return (euros * WORTH[currency]).quantize(currencies.quantum(currency))


def _status(rng: random.Random, age: int) -> Status:
    """Return a status that suits an expense of so many days: what is old has been paid."""
    if rng.randrange(20) == 0:
        return Status.DRAFT
    if rng.randrange(25) == 0:
        return Status.REJECTED
    paid, approved = (90, 5) if age > PAID_AFTER else (20, 40)
    drawn = rng.randrange(100)
    if drawn < paid:
        return Status.REIMBURSED
    return Status.APPROVED if drawn < paid + approved else Status.SUBMITTED


@dataclass(frozen=True)
class Loaded:
    """What loading did: expenses added and found, and the users that were created."""

    added: int
    found: int
    users: Sequence[str]


def password(username: str) -> str:
    """Return the password of a demo user. It is no secret."""
    return f"demo-{username}"


def load(count: int = EXPENSES, *, advance: Callable[[int], object] = lambda done: None) -> Loaded:
    """Load users, categories and expenses in one transaction; ``advance`` is told of each batch.

    Where any of the demo expenses is there nothing is written at all, so that what somebody
    changed or deleted since stays as it is. Users and categories that are there are kept as they
    are, passwords included.
    """
    planned = list(samples(count, FIRST_DAY, LAST_DAY))

    def attempt() -> Loaded:
        if found := _found(planned):
            return Loaded(added=0, found=found, users=())
        users = _users()
        _expenses(planned, advance)
        return Loaded(added=len(planned), found=0, users=users)

    return transactions.run(attempt, using=DEFAULT_DB_ALIAS)


def _batches(planned: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    remaining = iter(planned)
    while batch := list(itertools.islice(remaining, BATCH_SIZE)):
        yield batch


def _found(planned: Sequence[Sample]) -> int:
    return sum(Expense.objects.filter(id__in=[s.id for s in batch]).count() for batch in _batches(planned))


def _users() -> list[str]:
    """Create the users that are missing; return their names."""
    user_model = get_user_model()
    wanted = (SUPERUSER, *OWNERS)
    there = set(user_model._default_manager.filter(username__in=wanted).values_list("username", flat=True))
    created = [name for name in wanted if name not in there]
    user_model._default_manager.bulk_create(
        user_model(
            username=name,
            password=make_password(password(name)),
            is_staff=name == SUPERUSER,
            is_superuser=name == SUPERUSER,
        )
        for name in created
    )
    return created


def _expenses(planned: Sequence[Sample], advance: Callable[[int], object]) -> None:
    Category.objects.bulk_create([Category(name=name) for name in KINDS], ignore_conflicts=True)
    categories = dict(Category.objects.filter(name__in=KINDS).values_list("name", "pk"))
    owners = dict(get_user_model()._default_manager.filter(username__in=OWNERS).values_list("username", "pk"))
    for batch in _batches(planned):
        Expense.objects.bulk_create(
            Expense(
                id=sample.id,
                owner_id=owners[sample.owner],
                category_id=categories[sample.category] if sample.category else None,
                amount=sample.amount,
                currency=sample.currency,
                spent_on=sample.spent_on,
                status=sample.status,
                description=sample.description,
            )
            for sample in batch
        )
        advance(len(batch))
