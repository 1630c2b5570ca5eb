"""Which columns the expressions of a declaration read, and by which foreign keys they get there.

A total may depend on the source row and on the rows to which its foreign keys lead, one from each:
a write of any of them is seen. Other rows could change a total without its noticing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db import models
from django.db.models import F, Q, When
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import BaseExpression

from aggregates.definitions import Table


@dataclass(frozen=True)
class Column:
    """A column that a name reads: of which table, and what is done to its value."""

    path: str
    model: type[models.Model]
    field: Any
    lookups: tuple[str, ...] = ()


def tables(source: type[models.Model], expressions: Iterable[Any]) -> tuple[Table, ...]:
    """Return the tables that the expressions read: the source's first, each parent after its child.

    Raises FieldError for a name that leads anywhere but along foreign keys to primary keys.
    """
    models_of: dict[str, type[models.Model]] = {"": source}
    read: dict[str, set[str] | None] = {"": set()}
    for expression in expressions:
        for part in parts(expression):
            for column in columns(source, name_of(part)) if isinstance(part, F) else ():
                models_of[column.path] = column.model
                names = read.setdefault(column.path, set())
                if column.field.generated:
                    read[column.path] = None  # the database computes it from columns of its own choice
                elif names is not None:
                    names |= {column.field.name, column.field.attname}
    ordered = sorted(models_of, key=lambda path: (len(path.split(LOOKUP_SEP)) if path else 0, path))
    return tuple(
        Table(path, models_of[path], None if (names := read[path]) is None else frozenset(names)) for path in ordered
    )


def columns(source: type[models.Model], name: str) -> list[Column]:
    """Return the columns that a name such as ``category__group`` reads, the one it ends at last."""
    model, path, found = source, "", list[Column]()
    piece, *pieces = name.split(LOOKUP_SEP)
    field = _own_column(model, piece)
    while pieces and isinstance(field, models.ForeignKey) and _is_column_of(field, pieces[0]):
        found.append(Column(path, model, field))
        _require_primary_key(field)
        model, path = field.related_model, f"{path}{LOOKUP_SEP}{field.name}" if path else field.name
        piece, *pieces = pieces
        field = _own_column(model, piece)
    return [*found, Column(path, model, field, tuple(pieces))]


def _own_column(model: type[models.Model], name: str) -> Any:
    """Return the field of that name, which must be a column of the model's own table."""
    field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    if not getattr(field, "concrete", False) or field.many_to_many:
        raise FieldError(f"{model._meta.label}.{name} leads to any number of rows")
    if field.model._meta.concrete_model is not model._meta.concrete_model:
        raise FieldError(
            f"{model._meta.label}.{name} is stored with {field.model._meta.label}, whose writes are not seen"
        )
    return field


def _is_column_of(foreign_key: Any, name: str) -> bool:
    """Return whether a name is one of the row that a foreign key leads to, and not just of the key itself."""
    target = foreign_key.target_field
    if name == target.name or (name == "pk" and target.primary_key):
        return False
    try:
        foreign_key.related_model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def _require_primary_key(field: Any) -> None:
    if not field.target_field.primary_key or field.remote_field.parent_link:
        raise FieldError(f"{field.model._meta.label}.{field.name} is not a foreign key to a primary key")


def name_of(reference: Any) -> str:
    """Return the name that an F stands for."""
    return str(reference.name)  # F has it, its type hints do not


def parts(expression: Any) -> Iterator[Any]:
    """Yield an expression and all it is made of; the columns that a Q names as F."""
    yield expression
    children: list[Any] = list(expression.children) if isinstance(expression, Q) else []
    for child in children:
        if isinstance(child, (Q, BaseExpression)):
            yield from parts(child)
        else:
            lookup, value = child
            yield F(lookup)
            yield from parts(value)
    if isinstance(expression, When):
        yield from parts(expression.condition)
    for child in getattr(expression, "get_source_expressions", list)():
        yield from parts(child)
