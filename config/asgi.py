"""The ASGI entry point."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from config import production

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
production.prepare()
application = get_asgi_application()
