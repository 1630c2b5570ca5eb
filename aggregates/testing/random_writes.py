"""Random sequences of writes, with the totals checked after each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import DEFAULT_DB_ALIAS, IntegrityError, models, transaction
from django.db.models import F

from aggregates import ledger
from aggregates.exceptions import AggregatesError
from aggregates.fields import FixedDecimalField
from aggregates.testing.assertion import assert_totals_match

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

ROWS_A_WRITE = 3
WRITES_A_BLOCK = 4
WRITES_AN_EXAMPLE = 12

Write = tuple[Any, ...]


@dataclass(frozen=True)
class RandomWrites:
    """The writes that one source may undergo.

    ``new`` returns an instance that could be saved, another one at each call. ``values`` says what
    its fields may be set to: a sequence of values, or a hypothesis strategy, for each. A value that
    is callable is called when it is written; where it raises ObjectDoesNotExist, because a parent
    is gone, the field stays as it is. ``unique_fields`` are those of an upsert, if there is to be
    one. ``others`` are writes of the host's own, by name, such as the deletion of a parent.
    ``check`` is called after each write, ``assert_totals_match`` unless told.

    ::

        def test_any_writes_leave_totals_exact(db):
            taxi = Category.objects.create(name="Taxi")
            RandomWrites(
                new=lambda: Expense(owner=owner, amount=1, currency="EUR", spent_on=TODAY),
                values={"amount": [-5, 0, "7.25"], "category": [taxi, None], "status": Status.values},
                others={"delete the category": lambda: Category.objects.all().delete()},
            ).run()
    """

    new: Callable[[], models.Model]
    values: Mapping[str, Any]
    unique_fields: Sequence[str] = ()
    others: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    check: Callable[[], None] | None = None
    using: str = DEFAULT_DB_ALIAS

    def run(self, *, examples: int = 60, seed: int | None = None) -> None:
        """Carry out that many random sequences and check after each write; all is rolled back.

        A failure is shrunk to the shortest sequence that shows it, and names the seed that finds it
        again. Raises ImproperlyConfigured where hypothesis is not installed.
        """
        try:
            import hypothesis
        except ImportError as error:
            raise ImproperlyConfigured("RandomWrites needs hypothesis among the test dependencies.") from error
        seed = random.randrange(2**32) if seed is None else seed  # noqa: S311 - a choice of examples

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=set(hypothesis.Phase) - {hypothesis.Phase.explain},  # which takes longer than to read the example
            suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.large_base_example],
        )
        @hypothesis.given(_sequences(self))
        def example(writes: list[Write]) -> None:
            self._carry_out(writes)

        try:
            example()
        except BaseException as error:
            error.add_note(f"Run this again with seed={seed}.")
            raise

    def _carry_out(self, writes: list[Write]) -> None:
        writer = _Writer(self)
        with transaction.atomic(using=self.using):
            for write in writes:
                try:
                    with transaction.atomic(using=self.using):
                        writer.run(write)
                except (IntegrityError, AggregatesError):
                    pass  # refused: the totals must be right all the same
                if self.check is not None:
                    self.check()
                else:
                    assert_totals_match(self.using)
            transaction.set_rollback(True, using=self.using)


def _sequences(source: RandomWrites) -> SearchStrategy[list[Write]]:
    from hypothesis import strategies as st

    choices = {
        name: choice if isinstance(choice, st.SearchStrategy) else st.sampled_from(list(choice))
        for name, choice in source.values.items()
    }
    values = st.fixed_dictionaries({}, optional=choices)
    which = st.integers(0, 5)
    kinds = [
        st.tuples(st.just("create"), values),
        st.tuples(st.sampled_from(["save", "update_fields", "save_stale", "update"]), which, values),
        st.tuples(st.sampled_from(["double", "delete", "delete_like", "clone"]), which),
        st.tuples(st.sampled_from(["bulk_create", "bulk_update"]), st.lists(values, max_size=ROWS_A_WRITE)),
    ]
    if source.unique_fields:
        kinds.append(st.tuples(st.just("upsert"), st.lists(values, max_size=ROWS_A_WRITE)))
    if source.others:
        kinds.append(st.tuples(st.just("other"), st.sampled_from(sorted(source.others))))
    writes = st.recursive(
        st.one_of(kinds),
        lambda inner: st.tuples(
            st.sampled_from(["atomic", "rolled_back", "rolled_back_by_hand", "batch"]),
            st.lists(inner, max_size=WRITES_A_BLOCK),
        ),
        max_leaves=2 * WRITES_A_BLOCK,
    )
    return st.lists(writes, min_size=1, max_size=WRITES_AN_EXAMPLE)


class _Writer:
    """Carries writes out: each is the name of a method and its arguments."""

    def __init__(self, source: RandomWrites) -> None:
        self._source = source
        self._using = source.using
        self._model = type(source.new())
        self._fields: list[Any] = [self._model._meta.get_field(name) for name in source.values]

    def run(self, write: Write) -> None:
        """Carry one write out."""
        name, *arguments = write
        getattr(self, name)(*arguments)

    def create(self, values: dict[str, Any]) -> None:
        self._new(values).save(using=self._using)

    def save(self, which: int, values: dict[str, Any]) -> None:
        for row in self._row(which):
            self._set(row, values).save()

    def update_fields(self, which: int, values: dict[str, Any]) -> None:
        for row in self._row(which):
            self._set(row, values).save(update_fields=list(values)[:2])

    def save_stale(self, which: int, values: dict[str, Any]) -> None:
        for row in self._row(which):
            self.save(which, values)
            row.save()

    def update(self, which: int, values: dict[str, Any]) -> None:
        if given := self._given(values):
            for rows in self._like(which):
                rows.update(**given)

    def double(self, which: int) -> None:
        names = [f.name for f in self._fields if isinstance(f, (models.IntegerField, FixedDecimalField))]
        for row in self._row(which):
            for name in names:
                setattr(row, name, F(name) + F(name))
            row.save(update_fields=names)

    def delete(self, which: int) -> None:
        for row in self._row(which):
            row.delete()

    def delete_like(self, which: int) -> None:
        for rows in self._like(which):
            rows.delete()

    def clone(self, which: int) -> None:
        for row in self._row(which):
            fresh = self._source.new()
            for unique in (f for f in self._model._meta.concrete_fields if f.unique):
                setattr(row, unique.attname, getattr(fresh, unique.attname))
            row.pk = None
            row.save()

    def bulk_create(self, values: list[dict[str, Any]]) -> None:
        # One row alone goes the way that ignores conflicts.
        self._rows().bulk_create([self._new(each) for each in values], ignore_conflicts=len(values) == 1)

    def bulk_update(self, values: list[dict[str, Any]]) -> None:
        rows = [self._set(row, each) for row, each in zip(self._rows(), values, strict=False)]
        self._rows().bulk_update(rows, [f.name for f in self._fields])

    def upsert(self, values: list[dict[str, Any]]) -> None:
        unique: list[Any] = [self._model._meta.get_field(name) for name in self._source.unique_fields]
        instances = [self._new(each) for each in values]
        for instance, present in zip(instances[1:], self._rows(), strict=False):
            for each in unique:
                setattr(instance, each.attname, getattr(present, each.attname))
        others = [f.name for f in self._fields if f not in unique]
        self._rows().bulk_create(
            instances, update_conflicts=True, unique_fields=self._source.unique_fields, update_fields=others
        )

    def other(self, name: str) -> None:
        self._source.others[name]()

    def atomic(self, writes: list[Write]) -> None:
        with transaction.atomic(using=self._using):
            self._all(writes)

    def rolled_back(self, writes: list[Write]) -> None:
        with transaction.atomic(using=self._using):
            self._all(writes)
            transaction.set_rollback(True, using=self._using)

    def rolled_back_by_hand(self, writes: list[Write]) -> None:
        savepoint = transaction.savepoint(using=self._using)
        self._all(writes)
        transaction.savepoint_rollback(savepoint, using=self._using)

    def batch(self, writes: list[Write]) -> None:
        with ledger.batch(self._using):
            self._all(writes)

    def _all(self, writes: list[Write]) -> None:
        for write in writes:
            self.run(write)

    def _rows(self) -> models.QuerySet[Any]:
        return self._model._base_manager.using(self._using).order_by("pk")

    def _row(self, which: int) -> list[Any]:
        """Return one of the rows there are, in a list; an empty one where there is none."""
        rows = list(self._rows())
        return [rows[which % len(rows)]] if rows else []

    def _like(self, which: int) -> Iterator[models.QuerySet[Any]]:
        """Yield the rows that have one value in common with one row, if there is one."""
        attname = self._fields[which % len(self._fields)].attname
        for row in self._row(which):
            yield self._rows().order_by().filter(**{attname: getattr(row, attname)})

    def _new(self, values: dict[str, Any]) -> Any:
        return self._set(self._source.new(), values)

    def _set(self, row: Any, values: dict[str, Any]) -> Any:
        for name, value in self._given(values).items():
            setattr(row, name, value)
        return row

    def _given(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values to write, without those whose object is gone."""
        given = {}
        for name, value in values.items():
            try:
                given[name] = value() if callable(value) else value
            except ObjectDoesNotExist:
                continue
        return given
