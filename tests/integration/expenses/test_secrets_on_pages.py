"""No page shows a password's hash or a token, and no filter lets one be guessed letter by letter."""

from __future__ import annotations

import json

import pytest
from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from expenses.models import Expense
from tests.integration.expenses.admin_pages import expense

pytestmark = pytest.mark.django_db
LISTS = sorted(
    reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
)
GUESSES = (
    "password__startswith", "owner__password__startswith", "user__password__startswith", "actor__password__startswith",
    "started_by__password__startswith", "closed_by__password__startswith", "owner__auth_token_set__digest__startswith",
    "digest__startswith", "user__auth_token_set__digest__startswith",
)  # fmt: skip


def test_no_part_of_a_hash_is_in_the_trail(admin_client: Client) -> None:
    user = User.objects.create_user("olga", password="correct horse battery")
    hashes = [user.password]
    user.set_password("another horse battery")
    user.save()
    hashes.append(user.password)
    changes = [json.dumps(entry.changes) for entry in LogEntry.objects.get_for_object(user)]
    assert len([one for one in changes if "password" in one]) == 2
    pages = admin_client.get("/admin/auditlog/logentry/").content.decode()
    pages += "".join(
        admin_client.get(f"/admin/auditlog/logentry/{entry.pk}/change/").content.decode()
        for entry in LogEntry.objects.get_for_object(user)
    )
    for one in hashes:
        for part in (one[-12:], one[-30:-18]):
            assert part not in "".join(changes)
            assert part not in pages


@pytest.mark.parametrize("path", LISTS)
def test_no_list_is_filtered_by_what_is_secret(path: str) -> None:
    root = User.objects.create_superuser("root", password="correct horse battery")
    AuthToken.objects.create(user=root)
    expense(root)
    client = Client()
    client.force_login(root)
    for guess in GUESSES:
        shown = {client.get(path, {guess: value}, follow=True).content for value in ("a", "pbkdf2", "md5")}
        answers = {client.get(path, {guess: value}).status_code for value in ("a", "md5", "pbkdf2")}
        assert answers <= {302, 400}, (path, guess, answers, len(shown))
    assert Expense.objects.count() == 1


def test_no_page_shows_a_hash_or_a_token(admin_client: Client) -> None:
    user = User.objects.create_user("olga", password="correct horse battery")
    instance, token = AuthToken.objects.create(user=user)
    pages = [*LISTS, f"/admin/auth/user/{user.pk}/change/", "/admin/", "/expenses/"]
    text = "".join(admin_client.get(page, follow=True).content.decode() for page in pages)
    for secret in (user.password[-30:], token):
        assert secret not in text
    assert instance.token_key != token


@pytest.mark.parametrize("path", LISTS)
def test_no_list_is_for_who_may_nothing(path: str) -> None:
    client = Client()
    client.force_login(User.objects.create_user("olga", is_staff=True))
    assert client.get(path).status_code == 403
    assert client.get(f"{path}add/").status_code == 403
    client.force_login(User.objects.create_user("otto"))
    assert client.get(path)["Location"].startswith("/admin/login/")
