"""What all resources have in common."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from api.access import only_reads


class PrivateView(APIView):
    """A view whose answers depend on who asks, so that no shared cache may keep them."""

    http_method_names = ("get", "post", "put", "patch", "delete", "head")  # the schema says what OPTIONS would
    open_to_readers = False
    """Whether those who change nothing may use the view all the same."""

    def perform_authentication(self, request: Request) -> None:
        """Find out who asks, and count the request also where that fails: tokens could be guessed for ever."""
        try:
            super().perform_authentication(request)
        finally:
            super().check_throttles(request)

    def check_permissions(self, request: Request) -> None:
        """Refuse what the user may not do, and every change of those who change nothing."""
        super().check_permissions(request)
        if request.method not in SAFE_METHODS and not self.open_to_readers and only_reads(request.user):
            raise PermissionDenied("Auditors change nothing.")

    def check_throttles(self, request: Request) -> None:
        """Do nothing: the request was counted with the authentication."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Mark every answer, errors included, as private."""
        response = super().finalize_response(request, response, *args, **kwargs)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - APIView has checked it
        patch_cache_control(response, private=True)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        return response
