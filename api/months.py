"""The resource of months: which are closed, and to close and reopen them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from api import pagination, parameters
from api.views import PrivateView
from expenses import months
from expenses.models import FIRST_DAY, LAST_DAY, Month

MONTH = OpenApiParameter(
    "month",
    {"type": "string", "pattern": "^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$", "examples": ["2026-01"]},
    OpenApiParameter.PATH,
    description="As in 2026-01.",
)


class MonthSerializer(serializers.Serializer[Month]):
    """One month."""

    month = serializers.SerializerMethodField(help_text="As in 2026-01.")
    closed = serializers.BooleanField(source="is_closed", help_text="Whether its expenses cannot be written.")
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.IntegerField(source="closed_by_id", allow_null=True, help_text="The user's id.")
    closed_by_name = serializers.CharField(source="closed_by.username", allow_null=True, default=None)

    def get_month(self, month: Month) -> str:
        """Return the month as it is written."""
        return months.name(month.first_day)


class MayClose(BasePermission):
    """Takes the permission to close months."""

    message = "To close and reopen months takes the permission expenses.close_month."

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the user has it."""
        return bool(request.user.has_perm("expenses.close_month"))


class ClosedMonthsView(PrivateView, GenericAPIView[Month]):
    """The months that are closed."""

    serializer_class = MonthSerializer
    pagination_class = pagination.Pages
    queryset = Month.objects.filter(closed_at__isnull=False).select_related("closed_by")

    @extend_schema(parameters=parameters.openapi(pagination.PARAMETERS), responses=MonthSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Return the months whose expenses cannot be written, the latest first."""
        parameters.read(request.query_params, pagination.PARAMETERS)
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class MonthCloseView(PrivateView):
    """The closing of a month."""

    permission_classes = (MayClose,)

    @extend_schema(parameters=[MONTH], request=None, responses=MonthSerializer)
    def post(self, request: Request, month: str) -> Response:
        """Close a month: until it is opened again, no expense in it is written, nor moved there or away.

        Waits for writes that are under way. A month that is closed already stays as it is.
        """
        first_day = _first_day(month)
        parameters.read(request.query_params, ())
        closed, _new = months.close(first_day, request.user, timezone.now())
        return Response(MonthSerializer(closed).data)


class MonthReopenView(PrivateView):
    """The reopening of a month."""

    permission_classes = (MayClose,)

    @extend_schema(parameters=[MONTH], request=None, responses=MonthSerializer)
    def post(self, request: Request, month: str) -> Response:
        """Open a month again. One that is open stays so."""
        first_day = _first_day(month)
        parameters.read(request.query_params, ())
        opened, _new = months.reopen(first_day)
        return Response(MonthSerializer(opened).data)


def _first_day(month: str) -> dt.date:
    """Return the month's first day; raise Http404 for one that expenses cannot be in."""
    try:
        first_day = months.first_day(month)
    except ValueError:
        raise Http404 from None
    if not FIRST_DAY <= first_day <= LAST_DAY:
        raise Http404
    return first_day
