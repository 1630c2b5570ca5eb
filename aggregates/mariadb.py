"""What MariaDB has to be set to so that totals stay exact, and what is wrong with how it is set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from django.core import checks
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from aggregates.definitions import Definition
from aggregates.exceptions import DeclarationError

COLLATION = "utf8mb4_nopad_bin"
# Only these take no two texts for one: others fold case or accents, and pad with blanks.
EXACT_COLLATIONS = ("_nopad_bin", "_0900_bin", "binary")
VARIABLES = ("tx_isolation", "transaction_isolation", "innodb_snapshot_isolation", "sql_mode", "collation_connection")


def check(alias: str, definitions: list[Definition]) -> Iterator[checks.CheckMessage]:
    """Report settings of a database, and columns, with which totals would not be exact."""
    connection: Any = connections[alias]
    with connection.cursor() as cursor:
        places = ", ".join(["%s"] * len(VARIABLES))
        cursor.execute(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({places})", VARIABLES)
        settings = {name.lower(): value for name, value in cursor.fetchall()}
    yield from _session(alias, settings)
    collations = _collations(connection)
    for definition in definitions:
        yield from _columns(definition, collations, connection)
        try:
            require_time_zones(definition, connection)
        except DeclarationError as error:
            yield checks.Error(str(error), obj=definition.totals, id=error.id)


def _session(alias: str, settings: dict[str, str]) -> Iterator[checks.CheckMessage]:
    isolation = settings.get("tx_isolation") or settings.get("transaction_isolation", "")
    aborts = settings.get("innodb_snapshot_isolation") == "ON"
    if isolation == "READ-UNCOMMITTED" or (isolation == "REPEATABLE-READ" and not aborts):
        yield checks.Error(
            f"Transactions on {alias!r} are {isolation}: what is read may be older or newer than what is locked.",
            hint='Set OPTIONS = {"isolation_level": "read committed"}, or innodb_snapshot_isolation=ON.',
            id="aggregates.E018",
        )
    if not {"STRICT_ALL_TABLES", "STRICT_TRANS_TABLES"} & set(settings["sql_mode"].split(",")):
        yield checks.Error(
            f"The database {alias!r} is not strict: it stores the nearest number where a total leaves its range.",
            hint="""Set OPTIONS = {"init_command": "SET sql_mode = 'TRADITIONAL'"}.""",
            id="aggregates.E020",
        )
    if not settings["collation_connection"].endswith(EXACT_COLLATIONS):
        yield checks.Error(
            f"Connections to {alias!r} compare texts by {settings['collation_connection']}, which takes different "
            "ones for one, and so would computed dimensions.",
            hint=f'Set OPTIONS = {{"charset": "utf8mb4", "collation": "{COLLATION}"}}.',
            id="aggregates.E017",
        )


def _collations(connection: Any) -> dict[tuple[str, str], str]:
    """Return the collation of every text column by table and column, and the database's own by two empty names."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND collation_name IS NOT NULL "
            "UNION ALL SELECT '', '', @@collation_database"
        )
        return {(table, column): collation for table, column, collation in cursor.fetchall()}


def _columns(
    definition: Definition, collations: dict[tuple[str, str], str], connection: Any
) -> Iterator[checks.CheckMessage]:
    """Report text columns by which rows are grouped and that would put different texts into one bucket."""
    own = collations["", ""]  # what a table gets that is not there yet
    merging = {
        f"{field.model._meta.db_table}.{field.column}": collation
        for field in _texts(definition)
        if not (collation := collations.get((field.model._meta.db_table, field.column), own)).endswith(EXACT_COLLATIONS)
    }
    if merging:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        target = f"CHARACTER SET utf8mb4 COLLATE {COLLATION}"
        listed = ", ".join(f"{column} ({collation})" for column, collation in sorted(merging.items()))
        yield checks.Error(
            f"{definition.label} would count texts such as 'a', 'A' and 'a ' as one, by the collations of {listed}.",
            hint=f"Before the first migrate: ALTER DATABASE {name} {target}. For a table that is there already: "
            f"ALTER TABLE … CONVERT TO {target}.",
            obj=definition.totals,
            id="aggregates.E017",
        )


def _texts(definition: Definition) -> Iterator[Any]:
    """Yield the text columns of the totals that tell buckets apart, and those that totals are computed from."""
    fields = [definition.totals._meta.get_field(name) for name in ("rollup", *definition.dimensions)]
    for scope in definition.scopes:
        fields += [f for f in scope.model._meta.local_concrete_fields if scope.concerns(frozenset({f.name}))]
    for field in fields:
        target: Any = field
        while isinstance(target, models.ForeignKey):
            target = target.target_field
        if isinstance(target, (models.CharField, models.TextField)):
            yield field


_known: WeakKeyDictionary[BaseDatabaseWrapper, set[str]] = WeakKeyDictionary()


def require_time_zones(definition: Definition, connection: Any) -> None:
    """Raise DeclarationError where MariaDB does not know a time zone, for it would take NULL for each date in it."""
    stored_in: str = connection.timezone_name
    known = _known.setdefault(connection, {stored_in})
    for name in definition.time_zones - known:
        with connection.cursor() as cursor:
            offset = connection.ops._prepare_tzname_delta(name)  # noqa: SLF001 - what Django will convert to
            cursor.execute("SELECT CONVERT_TZ('2000-01-01', %s, %s)", [stored_in, offset])
            (converted,) = cursor.fetchone()
        if converted is None:
            raise DeclarationError(
                f"{definition.label} takes dates in the time zone {name}, which this MariaDB does not know: load its "
                "time zones (mariadb-tzinfo-to-sql /usr/share/zoneinfo | mariadb mysql), or take dates in UTC.",
                id="aggregates.E019",
            )
        known.add(name)
