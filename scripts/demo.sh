#!/usr/bin/env bash
# Migrate, load the demo data, verify the totals, and serve. Run by `make demo`; safe to repeat.
set -euo pipefail
cd "$(dirname "$0")/.."

export PYTHONUNBUFFERED=1 DJANGO_SETTINGS_MODULE=config.settings LOG_LEVEL="${LOG_LEVEL:-WARNING}"
port="${PORT:-8000}"

# The service wants a key of its own. Kept, so that who is logged in stays so.
key=build/demo.key
if [ ! -s "$key" ]; then
    mkdir -p build
    (umask 077 && .venv/bin/python -c 'import secrets; print(secrets.token_urlsafe(50))' >"$key")
fi
SECRET_KEY="${SECRET_KEY:-$(cat "$key")}"
export SECRET_KEY

manage() { .venv/bin/python manage.py "$@"; }

manage collectstatic --no-input --verbosity 0
manage migrate --verbosity 0
manage load_demo_data
manage verify_totals

url="http://127.0.0.1:$port"
cat <<TEXT

Running totals, with demo data

  Service    $url/
  Admin      $url/admin/
  Totals     $url/api/v1/totals/?group_by=category,month
  API docs   $url/api/docs/

  admin / demo-admin    sees everything
  ada   / demo-ada      sees her own, like ben / demo-ben and cleo / demo-cleo

Ctrl-C stops it.

TEXT
exec .venv/bin/python -m gunicorn config.wsgi --bind "127.0.0.1:$port" --workers 2 --threads 4 --log-level warning
