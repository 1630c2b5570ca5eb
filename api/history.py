"""The history of an expense: who wrote it, when, from what to what."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from api import pagination, parameters
from api.access import sees_all, visible
from api.fields import AmountField
from api.views import PrivateView
from expenses.models import Category, ExpenseImage, ExpenseWrite

# The members of an image, and the column of each.
MEMBERS: Mapping[str, str] = {
    "owner": "owner_id",
    "category": "category_id",
    **{name: name for name in ("amount", "currency", "spent_on", "status", "description")},
}


class ImageSerializer(serializers.Serializer[ExpenseImage]):
    """An expense as it was."""

    owner = serializers.IntegerField(source="owner_id")
    category = serializers.IntegerField(source="category_id", allow_null=True)
    category_name = serializers.SerializerMethodField(help_text="Today's; null for none, and for one that is gone.")
    amount = AmountField()
    currency = serializers.CharField()
    spent_on = serializers.DateField()
    status = serializers.CharField()
    description = serializers.CharField()

    def get_category_name(self, image: ExpenseImage) -> str | None:
        """Return the category's name, of those that the context has."""
        names: Mapping[int | None, str] = self.context["categories"]
        return names.get(image.category_id)


class WriteSerializer(serializers.Serializer[Any]):
    """One write of an expense."""

    at = serializers.DateTimeField(source="write.at")
    kind = serializers.ChoiceField(ExpenseWrite.Kind.choices, help_text="What became of this expense.")
    actor = serializers.IntegerField(
        source="write.actor_id", allow_null=True, help_text="The user's id; null for none."
    )
    actor_name = serializers.CharField(source="write.actor_name", help_text="The username at that time, or empty.")
    via = serializers.CharField(source="write.via", help_text="The request, or the command.")
    changed = serializers.ListField(child=serializers.CharField(), help_text="The members that differ.")
    before = ImageSerializer(allow_null=True)
    after = ImageSerializer(allow_null=True)


class ExpenseHistoryView(PrivateView, GenericAPIView[ExpenseWrite]):
    """The writes of one expense, also of one that is gone."""

    serializer_class = WriteSerializer
    pagination_class = pagination.Pages
    queryset = ExpenseWrite.objects.none()

    @extend_schema(
        operation_id="expenses_history",
        parameters=parameters.openapi(pagination.PARAMETERS),
        responses=WriteSerializer(many=True),
    )
    def get(self, request: Request, id: uuid.UUID) -> Response:  # noqa: A002 - the name in the address
        """Return who wrote the expense, the latest first. Writes from before the trail was kept are not in it."""
        parameters.read(request.query_params, pagination.PARAMETERS)
        images = _visible(request.user, id)
        page = self.paginate_queryset(ExpenseWrite.objects.filter(pk__in=images.values("write")))
        shown = _paired(page or [], images)
        named = {image.category_id for write in shown for image in (write["before"], write["after"]) if image}
        names = dict(Category.objects.filter(pk__in=named - {None}).values_list("pk", "name"))
        data = WriteSerializer(shown, many=True, context={**self.get_serializer_context(), "categories": names}).data
        return self.get_paginated_response(data)


def _visible(user: Any, key: uuid.UUID) -> QuerySet[ExpenseImage]:
    """Return the images of an expense that the user sees, or saw while it was there; else raise Http404."""
    images = ExpenseImage.objects.filter(expense=key)
    if not sees_all(user):
        images = images.filter(owner=user)
    if not images.exists() and not visible(user).filter(pk=key).exists():
        raise Http404
    return images


def _paired(writes: Iterable[ExpenseWrite], images: QuerySet[ExpenseImage]) -> list[dict[str, Any]]:
    """Return each write with the images that it has of the expense."""
    found = {(image.write_id, image.after): image for image in images.filter(write__in=[w.pk for w in writes])}
    return [_pair(write, found.get((write.pk, False)), found.get((write.pk, True))) for write in writes]


def _pair(write: ExpenseWrite, before: ExpenseImage | None, after: ExpenseImage | None) -> dict[str, Any]:
    kind = ExpenseWrite.Kind.CHANGED
    if before is None or after is None:
        kind = ExpenseWrite.Kind.CREATED if before is None else ExpenseWrite.Kind.DELETED
    return {"write": write, "kind": kind, "changed": _changed(before, after), "before": before, "after": after}


def _changed(before: ExpenseImage | None, after: ExpenseImage | None) -> list[str]:
    """Return the members that differ; none where there is but one image."""
    if before is None or after is None:
        return []
    return [name for name, column in MEMBERS.items() if getattr(before, column) != getattr(after, column)]
