"""Settings from the environment; every default suits development on one machine."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.templatetags.static import static

from config import logs
from config.csp import POLICY
from config.environment import env, rate, whole

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.bool("DEBUG", default=False)
# Not one to serve with: config/production.py refuses it.
SECRET_KEY = env.str("SECRET_KEY", default="") or "django-insecure-development-only-not-for-production"
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", "testserver"])

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # the theme, without a site of its own
    "unfold.contrib.filters",
    "expenses.dashboard.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "auditlog",
    "axes",
    "aggregates",
    "expenses",
    "api",
]

MIDDLEWARE = [
    "api.request_log.RequestLog",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.csp.PolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "api.metrics.RequestMetrics",
    "expenses.acting.middleware",
    "axes.middleware.AxesMiddleware",  # last: it puts the answer of a lock-out in the place of another
]

ROOT_URLCONF = "config.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # One writer at a time, who waits for his turn; readers never wait.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # The same few statements again and again: parsed and planned once a connection, not once a write.
    # Behind a pooler that hands out connections by the transaction: docs/how-to/postgresql.md.
    DATABASES["default"]["OPTIONS"] = {
        "server_side_binding": True,
        "prepare_threshold": 5,
        **DATABASES["default"].get("OPTIONS", {}),
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    # Texts are equal or not at all, nothing is stored altered, the clock tells UTC: docs/how-to/mariadb.md.
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"].get("OPTIONS", {}),
        "charset": "utf8mb4",
        "collation": "utf8mb4_nopad_bin",
        "isolation_level": "read committed",
        "init_command": "SET sql_mode = 'TRADITIONAL', time_zone = '+00:00'",
    }

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = [
    "api.lockout.Guard",
    "expenses.access.OnlyReads",  # before the one that permits
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "api.passwords.EndTokens"},
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

LOG_FORMAT, LOG_LEVEL = logs.chosen()
LOGGING = logs.settings(LOG_FORMAT, LOG_LEVEL)
logs.configure()
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # api.request_log has looked at it
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG  # one line a request is enough
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO  # the client's mistake, not the service's

METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
if METRICS_FOLDER := env.str("PROMETHEUS_MULTIPROC_DIR", default=""):
    Path(METRICS_FOLDER).mkdir(parents=True, exist_ok=True)  # what counts wants it there when it is imported

# The admin's theme: what it lacks for those who hear a page, or see little of it, and pages of the service's own.
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Expense totals",
    "SITE_HEADER": "Expense totals",
    "STYLES": [lambda request: static("expenses/accessible.css"), lambda request: static("expenses/admin.css")],
    "SCRIPTS": [lambda request: static("expenses/accessible.js")],
}

STATIC_URL = "static/"
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no page elsewhere has a use for the files of this one
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "build" / "static")))
FILE_UPLOAD_HANDLERS = [
    "config.uploads.Bounded",  # first: nothing is written before it has looked
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
LOGIN_URL = "dashboard:login"
LOGIN_REDIRECT_URL = "admin:index"

# Behind HTTPS. Without it cookies would be sent in the clear, and with it nothing is served over HTTP but the probes.
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_REDIRECT_EXEMPT = [r"^(livez|readyz|metrics)$"]
SECURE_HSTS_SECONDS = whole("HSTS_SECONDS", 365 * 24 * 3600) if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_SUBDOMAINS", default=HTTPS_ONLY)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
# Preloading is a registration of the whole domain, which cannot be undone for months: its owner's decision.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SESSION_ENGINE = "config.sessions"
SESSION_COOKIE_AGE = whole("SESSION_HOURS", 10, least=1) * 3600
CONTENT_SECURITY_POLICY = {"DIRECTIVES": POLICY}
# How many proxies stand before the service. Their headers tell the client's address and whether it came by HTTPS.
PROXIES = whole("PROXIES", 0)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PROXIES else None

# Wrong passwords: see api/lockout.py. The one after the last that is allowed is answered with 429.
AXES_HANDLER = "api.lockout.Attempts"
AXES_FAILURE_LIMIT = whole("LOGIN_ATTEMPTS", 10, least=1) + 1
AXES_COOLOFF_TIME = timedelta(minutes=whole("LOGIN_MINUTES", 15, least=1))
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_USERNAME_CALLABLE = "api.lockout.name_of"
AXES_LOCKOUT_CALLABLE = "api.lockout.answer"
AXES_CLIENT_IP_CALLABLE = "api.clients.address_of"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # who is locked out writes nothing
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# Requests of one user, or of one address without a user; empty for any number: see api/throttles.py.
SERVED_RATE_LIMIT = rate("RATE_LIMIT", "1200/min")
RATE_LIMIT: tuple[int, int] | None = (
    None  # until a server begins, see config/production.py: nothing else has clients to be counted
)
# Where requests are counted: a file that the workers of one machine share, unless CACHE_URL names another cache.
CACHES = {
    "default": env.cache("CACHE_URL")
    if env.str("CACHE_URL", default="")
    else {
        "BACKEND": "api.file_cache.FileCache",
        "LOCATION": env.str("CACHE_FILE", default=str(BASE_DIR / "build" / "cache.sqlite3")),
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "api.authentication.TokenAuthentication",  # first: it is the one that 401 advertises
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["api.throttles.ClientThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.parsers.JsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.negotiation.Negotiation",
    "DEFAULT_METADATA_CLASS": None,  # the schema describes the API; OPTIONS answers 405
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "api.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"TOKEN_TTL": timedelta(hours=whole("TOKEN_HOURS", 10, least=1))}
SPECTACULAR_SETTINGS = {
    "TITLE": "Expense totals",
    "DESCRIPTION": "Expenses and their running totals, exact at every commit.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],  # public, so an expired token must not lock anybody out
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {"Status": "expenses.models.Status"},
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "api.schema.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
