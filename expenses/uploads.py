"""A file that somebody has uploaded to import: kept while it is looked at, one a user."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models

MAX_BYTES = 5_000_000
MAX_NAME = 255
KEPT = dt.timedelta(days=7)
"""How long after its upload a file may be forgotten; the next upload of anybody does so."""


class ExpenseUpload(models.Model):
    """The file, how it is to be read, and what became of it. The user's next one takes its place."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=MAX_NAME, help_text="Of the file.")
    content = models.BinaryField()
    uploaded_at = models.DateTimeField()
    options = models.JSONField(default=dict, help_text="How it was read when it was last looked at; empty before.")
    imported_at = models.DateTimeField(null=True)
    report = models.JSONField(null=True, help_text="What its import did.")
    rejects = models.BinaryField(null=True, help_text="The lines that its import rejected, as a file.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
