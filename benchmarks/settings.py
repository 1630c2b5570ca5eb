"""The service's settings, with the models that are only measured."""

from __future__ import annotations

import os

from config import logs
from config.settings import *  # noqa: F403 - the service's settings, but for what follows
from config.settings import BASE_DIR, DATABASES, INSTALLED_APPS, LOG_FORMAT

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]
# It listens to the deletes of every model, which makes each of them load its rows: so only in a run of its own.
COMPUTEDFIELDS = "BENCH_COMPUTEDFIELDS" in os.environ
if COMPUTEDFIELDS:
    INSTALLED_APPS += ["computedfields", "benchmarks.computed"]
SECRET_KEY = "for-benchmarks-only-" + "0" * 50
SERVED_RATE_LIMIT = None  # what is measured is how much it can answer
LOGGING = logs.settings(LOG_FORMAT, "WARNING")  # a line a request would bury the table
STATIC_ROOT = BASE_DIR / "build" / "bench-static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns where it is missing

# Data sets that are compared with the main one, on the same server or in the same folder.
for _alias in ("small", "heated", "sparse"):
    _main = DATABASES["default"]
    _name = f"{_main['NAME']}_{_alias}"
    DATABASES[_alias] = {**_main, "NAME": _name}
