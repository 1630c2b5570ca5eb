"""The resource of categories: everybody reads them, those permitted change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import IntegrityError, router
from django.db.models import Model, QuerySet
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import SAFE_METHODS, DjangoModelPermissions
from rest_framework.request import Request
from rest_framework.response import Response

from aggregates import transactions
from api import pagination, parameters
from api.fields import TextField, WholeNumberField
from api.parameters import MAX_ID, Parameter
from api.serializers import StrictSerializer, body
from api.views import PrivateView
from expenses.merging import NoSuchCategory, merge
from expenses.models import Category

T = TypeVar("T")
PARAMETERS = (
    Parameter(
        "ordering",
        parameters.choices(("name", "id"), descending=True),
        "Of name, id, each at most once, comma-separated, `-` before one for descending order.",
        parameters.names(("name", "id"), descending=True),
    ),
    *pagination.PARAMETERS,
)


class CategorySerializer(StrictSerializer):
    """One category, shared by all owners."""

    id = serializers.IntegerField(read_only=True)
    name = TextField(max_length=255, help_text="Unique; surrounding white space is removed.")

    def validate_name(self, value: str) -> str:
        """Refuse a name that is taken."""
        others = Category.objects.exclude(pk=self.instance.pk) if self.instance else Category.objects.all()
        if others.filter(name=value).exists():
            raise _taken(value)
        return value

    def create(self, validated_data: dict[str, Any]) -> Category:
        """Insert the category."""
        return self.update(Category(), validated_data)

    def update(self, instance: Category, validated_data: dict[str, Any]) -> Category:
        """Store the name."""
        instance.name = validated_data.get("name", instance.name)
        try:
            instance.save()
        except IntegrityError as error:  # somebody else took it since it was validated
            raise serializers.ValidationError({"name": _taken(instance.name).detail}) from error
        return instance


class MergeSerializer(StrictSerializer):
    """Where the expenses of a category go."""

    into = WholeNumberField(min_value=0, max_value=MAX_ID, help_text="The id of another category.")

    def validate_into(self, value: int) -> int:
        """Refuse the category that is to be merged."""
        if value == self.context["key"]:
            raise serializers.ValidationError("A category cannot be merged into itself: name another.")
        return value


class MergedSerializer(serializers.Serializer[Any]):
    """What came of a merge."""

    category = CategorySerializer(help_text="The category merged into.")
    moved = serializers.IntegerField(min_value=0, help_text="How many expenses moved to it, drafts included.")


class MayMerge(DjangoModelPermissions):
    """To merge is to change one category and to delete another."""

    def get_required_permissions(self, method: str, model_cls: type[Model]) -> list[str]:
        """Return the names of both permissions."""
        return [f"{model_cls._meta.app_label}.{action}_{model_cls._meta.model_name}" for action in ("change", "delete")]


class CategoryListView(PrivateView, GenericAPIView[Category]):
    """All categories."""

    serializer_class = CategorySerializer
    pagination_class = pagination.Pages
    permission_classes = (DjangoModelPermissions,)
    queryset = Category.objects.all()

    @extend_schema(parameters=parameters.openapi(PARAMETERS), responses=CategorySerializer(many=True))
    def get(self, request: Request) -> Response:
        """Return a page of categories."""
        values = parameters.read(request.query_params, PARAMETERS)
        page = self.paginate_queryset(self.get_queryset().order_by(*values.get("ordering", ("name",)), "id"))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: CategorySerializer})
    def post(self, request: Request) -> Response:
        """Create a category."""
        parameters.read(request.query_params, ())
        data = body(request)

        def operation() -> Any:
            # A new one for each try: a serializer that has saved once takes what it saved for stored.
            serializer = self.get_serializer(data=data)
            serializer.is_valid(raise_exception=True)
            serializer.save()
            return serializer.data

        created = _run(operation)
        location = request.build_absolute_uri(reverse("category", kwargs={"pk": created["id"]}))
        return Response(created, status=201, headers={"Location": location})


class CategoryView(PrivateView, GenericAPIView[Category]):
    """One category."""

    serializer_class = CategorySerializer
    permission_classes = (DjangoModelPermissions,)
    queryset = Category.objects.all()

    def get_queryset(self) -> QuerySet[Category]:
        """Return all categories, locked where one is to be changed: it must not be deleted meanwhile."""
        categories = super().get_queryset()
        return categories if self.request.method in SAFE_METHODS else categories.select_for_update()

    def get(self, request: Request, pk: int) -> Response:
        """Return the category."""
        parameters.read(request.query_params, ())
        return Response(self.get_serializer(self.get_object()).data)

    def put(self, request: Request, pk: int) -> Response:
        """Rename the category."""
        return self._rename(request, partial=False)

    def patch(self, request: Request, pk: int) -> Response:
        """Rename the category."""
        return self._rename(request, partial=True)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete the category. Its expenses become uncategorised, in the totals as well."""
        parameters.read(request.query_params, ())
        _run(lambda: self.get_object().delete())
        return Response(status=204)

    def _rename(self, request: Request, *, partial: bool) -> Response:
        parameters.read(request.query_params, ())
        data = body(request)

        def operation() -> Any:
            serializer = self.get_serializer(self.get_object(), data=data, partial=partial)
            serializer.is_valid(raise_exception=True)
            serializer.save()
            return serializer.data

        return Response(_run(operation))


class CategoryMergeView(PrivateView, GenericAPIView[Category]):
    """The merge of one category into another."""

    serializer_class = MergeSerializer
    permission_classes = (MayMerge,)
    queryset = Category.objects.all()

    @extend_schema(responses=MergedSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Move all expenses of the category to another and delete it, at once, in the totals as well."""
        parameters.read(request.query_params, ())
        serializer = MergeSerializer(data=body(request), context={"key": pk})
        serializer.is_valid(raise_exception=True)
        into = serializer.validated_data["into"]
        try:
            category, moved = merge(pk, into, timezone.now())
        except NoSuchCategory as error:
            if error.key == pk:
                raise Http404 from error
            raise serializers.ValidationError({"into": [str(error)]}) from error
        return Response({"category": CategorySerializer(category).data, "moved": moved})


def _run(operation: Callable[[], T]) -> T:
    return transactions.run(operation, using=router.db_for_write(Category))


def _taken(name: str) -> serializers.ValidationError:
    return serializers.ValidationError(f"There is a category “{name}” already.", code="unique")
