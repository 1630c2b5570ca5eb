"""The outermost transaction, and whether one whose end failed may be committed all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, InterfaceError, OperationalError, transaction

from aggregates.exceptions import CommitInDoubt

# connection_exception, a shutdown (of operator_intervention), statement_completion_unknown
POSTGRESQL_IN_DOUBT = ("08", "57P", "40003")
PANIC = "PANIC"  # of PostgreSQL, such as a full disk under its log: what the log holds shows after its restart
MYSQL_CLIENT_ERRORS = range(2000, 3000)  # the client's own: it has lost the server


@contextmanager
def outermost(using: str) -> Iterator[None]:
    """Run a block in a transaction; raise CommitInDoubt in the place of an error after which it may be committed.

    Whoever was told of such an error that nothing is stored, or tried the block again, might have it twice.
    """
    ended, committed = False, []
    try:
        with transaction.atomic(using=using):
            # The first of what is done after the commit, and so before whatever fails there.
            transaction.on_commit(lambda: committed.append(True), using=using)
            yield
            ended = True
    except CommitInDoubt:
        raise
    except Error as error:
        if committed or (ended and leaves_open(error)):
            raise in_doubt(error) from error
        raise


def leaves_open(error: Error) -> bool:
    """Return whether an error of COMMIT is none of the database's answers: it may have committed."""
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    cause = error.__cause__
    if sqlstate := getattr(cause, "sqlstate", None):
        severity = getattr(getattr(cause, "diag", None), "severity_nonlocalized", None)
        return severity == PANIC or str(sqlstate).startswith(POSTGRESQL_IN_DOUBT)
    if name := getattr(cause, "sqlite_errorname", None):
        return str(name).startswith("SQLITE_IOERR")  # what the disk holds shows when it is read again
    number = error.args[0] if error.args else None
    return not isinstance(number, int) or number in MYSQL_CLIENT_ERRORS


def in_doubt(error: Error) -> CommitInDoubt:
    """Return what is raised in the place of an error after which a transaction may be committed."""
    return CommitInDoubt(f"The transaction may be committed or not: {error}")
