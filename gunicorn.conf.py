"""What gunicorn reads by itself where it is started in this folder; from elsewhere, name it with ``--config``."""

from config.workers import logger_class, on_exit, on_starting, post_fork, pre_fork  # noqa: F401 - gunicorn's names
