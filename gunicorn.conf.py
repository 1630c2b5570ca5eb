"""What gunicorn reads by itself where it is started in this folder; from elsewhere, name it with ``-c``."""

from config.gunicorn import *  # noqa: F403 - its settings, and what it calls when it starts and ends
