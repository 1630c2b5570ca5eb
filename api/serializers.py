"""What all request bodies have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http.request import RawPostDataException
from rest_framework import serializers
from rest_framework.exceptions import ParseError, UnsupportedMediaType, ValidationError
from rest_framework.request import Request


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses what DRF ignores: unknown members, and members that cannot be written."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the validated members; raise ValidationError that names every member at fault."""
        if not isinstance(data, Mapping):
            raise ValidationError({"non_field_errors": ["Send a JSON object."]})
        errors = {name: [self._refusal(name)] for name in data if name not in self._writable_names}
        try:
            validated = super().run_validation(data)
        except ValidationError as error:
            raise ValidationError({**error.detail, **errors}) from error  # type: ignore[dict-item]
        if errors:
            raise ValidationError(errors)
        return validated

    @property
    def _writable_names(self) -> set[str]:
        return {name for name, field in self.fields.items() if not field.read_only}

    def _refusal(self, name: str) -> str:
        return "This cannot be written." if name in self.fields else "There is no such member."


def body(request: Request) -> Any:
    """Return the request's JSON document; raise the 400 for an empty body."""
    try:
        empty = request.stream is None
    except RawPostDataException as error:  # the search for a CSRF token has consumed a form
        raise UnsupportedMediaType(request.content_type) from error
    if empty:
        raise ParseError("The body is empty, or came without Content-Length: send a JSON object.")
    return request.data
