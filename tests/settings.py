"""The service's settings, made fast and repeatable for tests, with the second host installed."""

from __future__ import annotations

import os
from pathlib import Path

from config.settings import *  # noqa: F403 - the service's settings, but for what follows
from config.settings import BASE_DIR, CACHES, DATABASES, INSTALLED_APPS

BUILD = BASE_DIR / "build" / "test"
BUILD.mkdir(parents=True, exist_ok=True)

DEBUG = False
SECRET_KEY = "for-tests-only-" + "0" * 50  # as long as Django's deployment check wants
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.testapp"]

# Each run has databases of its own; its workers inherit TEST_RUN and add their names. Set it to keep one (--reuse-db).
TEST_RUN = os.environ.setdefault("TEST_RUN", str(os.getpid()))
ENGINE = DATABASES["default"]["ENGINE"].rpartition(".")[2]
# A file, because threads cannot share an SQLite database in memory.
DATABASES["default"]["TEST"] = {
    "sqlite3": {"NAME": str(BUILD / f"{TEST_RUN}.sqlite3")},
    "postgresql": {"NAME": f"test_{TEST_RUN}"},
    "mysql": {"NAME": f"test_{TEST_RUN}", "CHARSET": "utf8mb4", "COLLATION": "utf8mb4_nopad_bin"},
}[ENGINE]

SERVED_RATE_LIMIT = None  # whoever is tested is in a hurry; test_rates.py sets one
CACHES["default"] = {**CACHES["default"], "LOCATION": str(BUILD / f"{TEST_RUN}-cache.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT") or BUILD / "static")  # of its own where files are collected
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns where it is missing
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

BAKER_CUSTOM_FIELDS_GEN = {"aggregates.fields.FixedDecimalField": "tests.generators.amount"}
