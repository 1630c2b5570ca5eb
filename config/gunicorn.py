"""How gunicorn serves: ``gunicorn --config config/gunicorn.py config.wsgi``."""

from __future__ import annotations

import os

from config.workers import logger_class, on_exit, on_starting, post_fork, pre_fork  # noqa: F401 - gunicorn's names

bind = os.environ.get("BIND") or "127.0.0.1:8000"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = int(os.environ.get("THREADS") or 4)
worker_class = "config.workers.PatientWorker"  # gthread, with a limit to waiting for clients
# A worker that has not been heard of for so long is started anew. Requests end sooner: config/databases.py.
timeout = 60
# How long requests may go on for after a stop. The unit of systemd waits for longer.
graceful_timeout = 30
# The proxy before it keeps its connections.
keepalive = 5
# A worker that has grown is replaced in time, and not all of them at once.
max_requests = 20_000
max_requests_jitter = 2_000
# Nobody asks the running server but through signals, and its home may not be writable.
control_socket_disable = True
