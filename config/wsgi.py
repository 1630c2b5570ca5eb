"""The WSGI entry point."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from config import production

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
production.prepare()
application = get_wsgi_application()
