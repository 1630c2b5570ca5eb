"""What all resources have in common."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from rest_framework.request import Request
from rest_framework.views import APIView


class PrivateView(APIView):
    """A view whose answers depend on who asks, so that no shared cache may keep them."""

    http_method_names = ("get", "post", "put", "patch", "delete", "head")  # the schema says what OPTIONS would

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Mark every answer, errors included, as private."""
        response = super().finalize_response(request, response, *args, **kwargs)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - APIView has checked it
        patch_cache_control(response, private=True)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        return response
