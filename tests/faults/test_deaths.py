"""Processes die while everybody writes: what was acknowledged is there once, nothing else is, and totals are exact."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection

from tests import postgres, programs
from tests.concurrency.threads import wait_until
from tests.faults.crew import WRITERS, Crew, assert_sound, at_work
from tests.faults.databases import Files, Server
from tests.faults.service import serving

pytestmark = pytest.mark.long

WRITES = 25  # between two deaths
CRASHES = 2
SHAPES = (  # where the master has the code, a worker that dies is replaced at once
    ("--worker-class=sync", "--workers=2", "--preload"),
    ("--worker-class=gthread", "--workers=1", "--threads=4"),
)


def shape(seed: int) -> tuple[str, ...]:
    """Return how gunicorn serves: by processes or by threads."""
    return SHAPES[seed % 2]


def environment(seed: int) -> dict[str, str]:
    """Return whether the service has a pool of connections: one time in two."""
    return {"POOL_SIZE": "3"} if connection.vendor == "postgresql" and seed % 4 < 2 else {}


def a_worker(crew: Crew) -> None:
    crew.service.kill_a_worker(crew.pick)


def the_master(crew: Crew) -> None:
    crew.service.kill_the_master()
    crew.service.start()


def who_writes_by_itself(crew: Crew) -> None:
    worker = crew.workers[-1]
    crew.until_it_wrote(worker, WRITES)
    programs.kill(worker.process.pid)
    crew.employ()


def everybody(crew: Crew) -> None:
    """Kill the service and who writes by itself at one moment, on SQLite beside a log that is not written back."""
    worker = crew.workers[-1]
    crew.until_it_wrote(worker, 1)  # its connection stays: whoever closes the last one takes the log along
    connection.close()
    crew.service.kill(worker.process.pid)
    if connection.vendor == "sqlite":
        log = Path(f"{connection.settings_dict['NAME']}-wal")
        assert log.stat().st_size > 0, "there is a log to recover from"
        assert_sound()
    crew.service.start()
    crew.employ()


def a_session(crew: Crew) -> None:
    """Let the database end one of the sessions of the service and of the worker process, in a transaction."""
    wait_until(lambda: ended_a_session(crew.pick.randrange(2)), "a session is at work")


def ended_a_session(which: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state IN ('active', 'idle in transaction')"
            " ORDER BY pid LIMIT 1 OFFSET %s) AS one",
            [which],
        )
        return bool(cursor.fetchall())


Deed = Callable[[Crew], None]
DEATHS: list[Deed] = [a_worker, the_master, everybody, who_writes_by_itself]
if connection.vendor == "postgresql":
    DEATHS.append(a_session)


def test_no_write_is_lost_or_doubled_when_parts_of_the_service_die(
    own: Files | Server, owner: User, categories: list[int], seed: int
) -> None:
    with serving(*shape(seed), **environment(seed)) as service, at_work(service, seed, owner, categories) as crew:
        crew.begin()
        crew.employ()
        for death in crew.pick.sample(DEATHS, len(DEATHS)):
            crew.go_on(WRITES)
            print(f"dies: {death.__name__}")  # noqa: T201 - shown where the test fails
            death(crew)
        crew.go_on(WRITES)
    assert crew.journal.doubts <= len(DEATHS) * WRITERS, "a death leaves one write of each who writes in doubt, at most"


@pytest.mark.row_locks
def test_no_write_is_lost_or_doubled_when_the_server_of_the_database_dies(
    cluster: postgres.Cluster, owner: User, categories: list[int], seed: int
) -> None:
    # With a pool, whoever asks is refused after ten seconds: not with the first seeds.
    with serving(*shape(seed), **environment(seed + 1)) as service, at_work(service, seed, owner, categories) as crew:
        crew.begin()
        crew.employ()
        for _ in range(CRASHES):
            crew.go_on(WRITES)
            cluster.crash()
            connection.close()
            crew.until_somebody_is_refused()
            cluster.start(postgres.DURABLE)
        crew.go_on(WRITES)
    assert crew.journal.doubts <= CRASHES * WRITERS
