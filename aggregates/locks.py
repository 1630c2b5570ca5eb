"""Locks on the rows that images are read from: parents before children, held until the transaction ends.

A writer shares the rows that the foreign keys of its source rows lead to with other writers (FOR
SHARE); one that changes such a row has it alone (FOR UPDATE). So whoever moves a parent waits for
every writer between its write and its commit, and every later writer waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.db import connections, models

from aggregates.batches import batched
from aggregates.definitions import Definition, Scope
from aggregates.exceptions import UntrackedWrite

KEYS_A_STATEMENT = 1_000
FOR_SHARE = {"postgresql": "FOR SHARE", "mysql": "LOCK IN SHARE MODE"}
ISOLATION = {"postgresql": "SHOW transaction_isolation", "mysql": "SELECT @@tx_isolation"}

Keys = Mapping[Scope, Collection[Any]]


def lock(scope: Scope, rows: models.QuerySet[Any], reached: models.QuerySet[Any], coming: Keys) -> frozenset[Any]:
    """Lock rows of a scope's model and return their keys.

    Before them, as far as they can be told, come the rows that those and the source rows ``reached``
    lead to and are farther away; and those that the writer says it will lead to.
    """
    scopes = scope.definition.scopes
    before = scopes[: scopes.index(scope)]
    found = _leads_to(scope.definition, reached)
    for parent in before:
        _share(parent, {*found.get(parent, ()), *coming.get(parent, ())}, rows.db)
    locked = frozenset(rows.order_by("pk").select_for_update().values_list("pk", flat=True))
    if locked and not scope.is_source:
        _require_fresh_reads(scope, rows.db)
    return locked


def hold(scope: Scope, keys: Collection[Any], reached: models.QuerySet[Any]) -> None:
    """Share every row that source rows lead to, but those of the scope, which the caller has locked.

    What was locked cannot lead elsewhere any more; what it leads to is read again until all is.
    """
    held: dict[Scope, set[Any]] = {scope: set(keys)}
    while missing := _without(_leads_to(scope.definition, reached), held):
        for parent in scope.definition.scopes:
            if parent in missing:
                _share(parent, missing[parent], reached.db)
                held.setdefault(parent, set()).update(missing[parent])


def _require_fresh_reads(scope: Scope, using: str) -> None:
    """Refuse to change a parent where the rows that lead to it are read as they were when the transaction began.

    Others that came since have not changed the parent, so its lock does not tell of them.
    """
    query = ISOLATION.get(connections[using].vendor)
    if query is None:
        return
    with connections[using].cursor() as cursor:
        cursor.execute(query)
        (isolation,) = cursor.fetchone()
    if isolation.upper().replace("-", " ") == "REPEATABLE READ":
        raise UntrackedWrite(
            f"{scope.model._meta.label} decides totals of {scope.definition.label}, and a transaction that is "
            "REPEATABLE READ does not see every row they sum: write it in one that is READ COMMITTED or SERIALIZABLE, "
            f"or with update_fields other than {sorted(scope.columns or ())}."
        )


def _leads_to(definition: Definition, rows: models.QuerySet[Any]) -> dict[Scope, set[Any]]:
    """Return the keys of the rows to which source rows lead, by scope."""
    parents = definition.tables[1:]
    if not parents or connections[rows.db].vendor not in FOR_SHARE:
        return {}
    by_path = {path: scope for scope in definition.scopes for path in scope.paths}
    found: dict[Scope, set[Any]] = {}
    led = rows.order_by().values_list(*(f"{table.path}__pk" for table in parents)).distinct()
    for row in led:
        for table, key in zip(parents, row, strict=True):
            if key is not None:
                found.setdefault(by_path[table.path], set()).add(key)
    return found


def _without(found: dict[Scope, set[Any]], held: dict[Scope, set[Any]]) -> dict[Scope, set[Any]]:
    return {scope: rest for scope, keys in found.items() if (rest := keys - held.get(scope, set()))}


def _share(scope: Scope, keys: Collection[Any], using: str) -> None:
    """Lock rows against changes; Django has no words for it, and SQLite, with its one writer, no need."""
    connection = connections[using]
    if connection.vendor not in FOR_SHARE:
        return
    pk: Any = scope.model._meta.pk
    quote = connection.ops.quote_name
    table, column = quote(scope.model._meta.db_table), quote(pk.column)
    for batch in batched(sorted(keys), KEYS_A_STATEMENT):
        params = [pk.get_db_prep_value(key, connection) for key in batch]
        places = ", ".join(["%s"] * len(params))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {column} FROM {table} WHERE {column} IN ({places}) "  # noqa: S608 - names of ours
                f"ORDER BY {column} {FOR_SHARE[connection.vendor]}",
                params,
            )
            cursor.fetchall()
