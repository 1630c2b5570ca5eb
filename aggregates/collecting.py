"""What Django's collector would do with rows to delete if this engine listened to nothing."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.deletion import Collector
from django.db.models.signals import post_delete, pre_delete

from aggregates import receivers


def is_by_itself(rows: models.Model | models.QuerySet[Any], using: str) -> bool:
    """Return whether nothing else needs to see an instance or a queryset's rows go: no receiver, no cascade."""
    return _ForeignReceiversOnly(using=using).can_fast_delete(rows)


class _ForeignReceiversOnly(Collector):
    def _has_signal_listeners(self, model: type[models.Model]) -> bool:
        return any(
            not receivers.is_own(receiver)
            for signal in (pre_delete, post_delete)
            for group in signal._live_receivers(model)  # noqa: SLF001 - has_listeners() asks it too, and tells not whose
            for receiver in group
        )
