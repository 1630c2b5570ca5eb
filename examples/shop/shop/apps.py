"""The Django app of the example."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Shops, what they sell, and who comes in."""

    name = "shop"
    default_auto_field = "django.db.models.BigAutoField"
