"""The audit trail of everything but expenses: categories, months, users and what they may do, rebuilds.

Instance writes are django-auditlog's; what it cannot see is added here. For expenses see ``trail``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS
from django.db.models.signals import post_save, pre_save

from aggregates.models import Run
from expenses import acting
from expenses.models import Category, Month

RUN_FIELDS = ("totals", "kind", "options")


def connect() -> None:
    """Listen to what is to be in the trail."""
    auditlog.register(Category)
    auditlog.register(Month)
    auditlog.register(Group, m2m_fields={"permissions"})
    auditlog.register(
        get_user_model(),
        exclude_fields=["last_login"],
        mask_fields=["password"],
        mask_callable="expenses.audit.masked",
        m2m_fields={"groups", "user_permissions"},
    )
    post_save.connect(_run_begins, sender=Run, dispatch_uid="expenses.audit")
    pre_save.connect(_sign, sender=LogEntry, dispatch_uid="expenses.audit")


def masked(value: str) -> str:
    """Return nothing of a value. The library's own mask leaves the second half, which is the hash of a password."""
    return "*****" if value else ""


def categories_created(keys: Mapping[str, Any], using: str = DEFAULT_DB_ALIAS) -> None:
    """Record categories that one statement created, by name."""
    kind = ContentType.objects.db_manager(using).get_for_model(Category)
    entries = [
        LogEntry(
            content_type=kind,
            object_pk=str(key),
            object_id=key,
            object_repr=name,
            action=LogEntry.Action.CREATE,
            changes={"id": ["None", str(key)], "name": ["None", name]},
        )
        for name, key in keys.items()
    ]
    for entry in entries:
        _sign(LogEntry, entry)
    LogEntry.objects.using(using).bulk_create(entries)


def _run_begins(sender: type[Run], instance: Run, created: bool, using: str, **_signal: Any) -> None:  # noqa: FBT001
    """Record who began a rebuild; how it went is in the run itself."""
    if created and instance.kind == Run.Kind.REBUILD:
        LogEntry.objects.db_manager(using).log_create(
            instance,
            action=LogEntry.Action.CREATE,
            changes={name: ["None", str(getattr(instance, name))] for name in RUN_FIELDS},
        )


def _sign(sender: type[LogEntry], instance: LogEntry, **_signal: Any) -> None:
    """Name who acts, and through what."""
    if (user := acting.user()) is not None:
        instance.actor, instance.actor_email = user, user.email
    instance.additional_data = {"via": acting.via(), "actor_name": user.get_username() if user else ""}
