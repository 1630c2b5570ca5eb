"""The addresses of the example."""

from django.contrib import admin
from django.urls import path

from shop.views import overview

urlpatterns = [
    path("", overview),
    path("admin/", admin.site.urls),
]
