"""The ASGI entry point."""

from __future__ import annotations

import os

import django

from config import production

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
production.prepare()
django.setup(set_prefix=False)

from config.requests import ASGI  # noqa: E402 - needs the setup above

application = ASGI()
