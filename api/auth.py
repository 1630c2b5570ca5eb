"""Tokens: logging in, out, and out everywhere."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import router, transaction
from drf_spectacular.utils import extend_schema
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from api import parameters
from api.authentication import TokenAuthentication
from api.fields import TextField
from api.serializers import StrictSerializer, body
from api.views import PrivateView


class CredentialsSerializer(StrictSerializer):
    """Who logs in."""

    username = TextField(max_length=150, trim_whitespace=False)
    password = TextField(max_length=4096, trim_whitespace=False, write_only=True)


class TokenSerializer(serializers.Serializer[Any]):
    """A token, shown this once."""

    token = serializers.CharField(help_text="To be sent as `Authorization: Token …`.")
    expiry = serializers.DateTimeField(allow_null=True)


class LoginView(PrivateView):
    """Gives out tokens. A session that is open counts, so that its CSRF token is asked for."""

    authentication_classes = (SessionAuthentication,)
    permission_classes = (AllowAny,)
    open_to_readers = True

    def get_authenticate_header(self, request: Request) -> str:
        """Make a wrong password a 401."""
        return "Token"

    @extend_schema(request=CredentialsSerializer, responses=TokenSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Exchange a username and a password for a token."""
        parameters.read(request.query_params, ())
        serializer = CredentialsSerializer(data=body(request))
        serializer.is_valid(raise_exception=True)
        # Django hashes also for an unknown user: text and time tell nobody who exists.
        user = authenticate(request._request, **serializer.validated_data)  # noqa: SLF001 - backends want Django's
        if user is None:
            raise AuthenticationFailed("The username or the password is wrong.")
        with transaction.atomic(using=router.db_for_write(AuthToken)):
            instance, token = AuthToken.objects.create(user=user)
            user_logged_in.send(sender=user.__class__, request=request._request, user=user)  # noqa: SLF001
        shown = TokenSerializer({"token": token, "expiry": instance.expiry})
        return Response(shown.data, headers={"Cache-Control": "no-store"})


class LogoutView(PrivateView):
    """Revokes the token that asks."""

    authentication_classes = (TokenAuthentication,)
    open_to_readers = True

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Revoke the token of this request."""
        parameters.read(request.query_params, ())
        request.auth.delete()
        user_logged_out.send(sender=request.user.__class__, request=request._request, user=request.user)  # noqa: SLF001
        return Response(status=204)


class LogoutAllView(PrivateView):
    """Revokes every token of who asks."""

    open_to_readers = True

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Revoke all tokens of the user."""
        parameters.read(request.query_params, ())
        AuthToken.objects.filter(user=request.user).delete()
        user_logged_out.send(sender=request.user.__class__, request=request._request, user=request.user)  # noqa: SLF001
        return Response(status=204)
