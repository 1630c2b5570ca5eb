"""Bad input and abuse, case by case: which test holds each, and that it is there.

A case is held by a test, named ``module.test``, and where that one is run with many values, by one of them.
Whole classes of cases are in ``test_abuse_classes``.
"""

from __future__ import annotations

import importlib
from typing import Any

import pytest

ANY = object()
"""Held by the test whatever it is run with."""

RULES, BODIES, QUERIES, AUTH = "test_expense_rules", "test_bodies", "test_queries", "test_auth"
AMOUNT = f"{RULES}.test_an_amount_that_is_no_plain_decimal_string_of_the_currency_is_refused"
NOT_JSON = f"{RULES}.test_a_bare_nan_or_infinity_is_not_json"
DIGITS = f"{RULES}.test_more_decimals_than_the_currency_has_are_refused"
BODY = f"{BODIES}.test_a_body_that_is_no_json_object_is_400"
MEDIA_TYPE = f"{BODIES}.test_a_body_of_another_media_type_is_415"
DATE = f"{RULES}.test_a_date_that_is_none_or_out_of_range_is_refused"
CURRENCY = f"{RULES}.test_a_currency_is_an_iso_code_in_use"
STATUS = f"{RULES}.test_a_status_is_one_of_the_list"
CATEGORY = f"{RULES}.test_a_category_is_the_integer_id_of_one_that_exists"
TEXT = f"{RULES}.test_a_description_is_a_text_without_nul_of_limited_length"
READ_ONLY = f"{RULES}.test_members_that_are_unknown_or_only_read_are_refused"
PAGES = f"{QUERIES}.test_pages_and_unknown_parameters"
FILTERS = f"{QUERIES}.test_filters"
GROUPING = f"{QUERIES}.test_grouping"
STRANGER = "test_expenses.test_somebody_elses_expense_answers_like_one_that_never_was"
ORDINARY_USER = "test_runs.test_an_ordinary_user_is_403_and_somebody_unknown_401"
FORMULA = "test_totals.test_text_that_a_spreadsheet_takes_for_a_formula_is_quoted_in_csv"
IDEMPOTENCY = "test_idempotency"
KEY = "test_deployment.test_the_service_refuses_to_start_on_a_weak_key"

CASES: dict[str, dict[str, tuple[str, Any]]] = {
    "Amount": {
        '"NaN"': (AMOUNT, '"NaN"'),
        '"sNaN"': (AMOUNT, '"sNaN"'),
        '"-Infinity"': (AMOUNT, '"-Infinity"'),
        "bare NaN": (NOT_JSON, "NaN"),
        "bare Infinity": (NOT_JSON, "Infinity"),
        "bare 1e999": (AMOUNT, "1e999"),
        '"1e999"': (AMOUNT, '"1e999"'),
        '"1e-999"': (AMOUNT, '"1e-999"'),
        '"1E+1000000000"': (AMOUNT, '"1E+1000000000"'),
        '"1_000"': (AMOUNT, '"1_000"'),
        "fullwidth digits": (AMOUNT, '"\uff11\uff12"'),
        '" 12 "': (AMOUNT, '" 12 "'),
        '"12,50"': (AMOUNT, '"12,50"'),
        '"0x10"': (AMOUNT, '"0x10"'),
        "true": (AMOUNT, "true"),
        "null": (AMOUNT, "null"),
        '""': (AMOUNT, '""'),
        "[]": (AMOUNT, "[]"),
        '"1.005" EUR': (DIGITS, ("EUR", "1.005")),
        '"1.5" JPY': (DIGITS, ("JPY", "1.5")),
        "a JSON float": (AMOUNT, "9999999999.999999999"),
        "a JSON number is refused with advice": (
            f"{RULES}.test_a_json_number_is_refused_with_the_advice_to_send_a_string",
            ANY,
        ),
        '"-0.00" is stored as 0': (f"{RULES}.test_minus_zero_is_stored_as_zero", ANY),
        "20 digits": (AMOUNT, '"12345678901234567890"'),
        "1,001 characters": (AMOUNT, f'"{"1" * 1001}"'),
        '"1e2"': (AMOUNT, '"1e2"'),
        "missing": (f"{RULES}.test_what_is_required_must_be_there", "amount"),
    },
    "Body": {
        "{": (BODY, b"{"),
        "100,000 × [": (BODY, b"[" * 100_000),
        "50,000 nested objects": (BODY, b'{"a":' * 50_000),
        "empty": (BODY, b""),
        "[]": (BODY, b"[]"),
        '"x"': (BODY, b'"x"'),
        "null": (BODY, b"null"),
        "bytes 0xFF": (BODY, b"\xff"),
        "text/plain": (MEDIA_TYPE, "text/plain"),
        "XML": (MEDIA_TYPE, "application/xml"),
        "multipart without boundary": (f"{BODIES}.test_multipart_without_boundary_is_400", ANY),
        "3 MB": (f"{BODIES}.test_a_body_of_3_megabytes_is_413", ANY),
        "an import has its own limit": (
            "test_import_endpoint.test_more_than_the_limit_is_413_before_it_is_read",
            ANY,
        ),
        "unknown field": (READ_ONLY, "total"),
        "wrong Host": (f"{BODIES}.test_a_wrong_host_is_400", ANY),
    },
    "Fields": {
        "NUL in text": (TEXT, "a\x00b"),
        "too long": (TEXT, "x" * 10_001),
        "blank where required": ("test_categories.test_a_name_is_a_text_that_is_not_blank", "  "),
        "list for a scalar": (STATUS, ["draft"]),
        "a category like a float": (CATEGORY, 1.0),
        "unknown category": (CATEGORY, 999_999),
        "0000-00-00": (DATE, "0000-00-00"),
        "2026-02-30": (DATE, "2026-02-30"),
        "10000-01-01": (DATE, "10000-01-01"),
        "0202-05-05": (DATE, "0202-05-05"),
        "9999-12-31": (DATE, "9999-12-31"),
        "1899-12-31": (DATE, "1899-12-31"),
        "2100-01-01": (DATE, "2100-01-01"),
        "20260102": (DATE, "20260102"),
        "a datetime": (DATE, "2026-01-02T00:00:00"),
        "1900-01-01 and 2099-12-31 are dates": (
            f"{RULES}.test_the_first_and_the_last_day_are_dates_of_expenses",
            "2099-12-31",
        ),
        "status outside the list": (STATUS, "paid"),
        "XXX": (CURRENCY, "XXX"),
        "eur with a space": (CURRENCY, "eur "),
        "€": (CURRENCY, "€"),
        "owner of somebody else": (f"{RULES}.test_somebody_else_cannot_be_made_the_owner", ANY),
        "created_at": (READ_ONLY, "created_at"),
    },
    "Query": {
        "page_size=0": (PAGES, ("page_size=0", "page_size")),
        "page_size=-1": (PAGES, ("page_size=-1", "page_size")),
        "page_size=abc": (PAGES, ("page_size=abc", "page_size")),
        "page_size=10^9": (PAGES, ("page_size=1000000000", "page_size")),
        "from=abc": (FILTERS, ("from=abc", "from")),
        "from=2026-13-01": (FILTERS, ("from=2026-13-01", "from")),
        "from = to": (FILTERS, ("from=2026-02-01&to=2026-02-01", "to")),
        "from > to": (FILTERS, ("from=2026-02-02&to=2026-02-01", "to")),
        "500 years": (FILTERS, ("from=1500-01-01&to=2000-01-01", "from")),
        "category=abc": (FILTERS, ("category=abc", "category")),
        "category=1;--": (FILTERS, ("category=1;--", "category")),
        "ordering outside the list": (PAGES, ("ordering=password", "ordering")),
        "group_by outside the list": (GROUPING, ("group_by=week", "group_by")),
        "group_by=(select 1)": (GROUPING, ("group_by=(select%201)", "group_by")),
        "the same key twice": (GROUPING, ("group_by=month,month", "group_by")),
        "unknown parameter": (PAGES, ("colour=red", "colour")),
        "page past the end": ("test_expenses.test_a_page_past_the_end_is_404", "2"),
        "page past the end of totals": ("test_totals.test_a_page_past_the_end_is_404", "2"),
    },
    "Access": {
        "another owner's expense: GET": (STRANGER, "get"),
        "another owner's expense: PATCH": (STRANGER, "patch"),
        "another owner's expense: DELETE": (STRANGER, "delete"),
        "in the same words": (
            "test_strangers.test_an_expense_of_somebody_else_is_refused_in_the_words_of_one_that_never_was",
            ANY,
        ),
        "PUT on such an id": ("test_expenses.test_the_id_of_somebody_elses_expense_is_409", ANY),
        "only one's own totals": ("test_totals.test_only_own_rows_are_summed", ANY),
        "unless permitted": ("test_totals.test_who_may_see_all_sums_all_or_those_chosen", ANY),
        "no leaks": ("test_strangers.test_no_answer_depends_on_what_others_store", ANY),
        "Vary, Cache-Control": ("test_expenses.test_answers_are_private_to_who_asks", ANY),
        "POST on totals": ("test_totals.test_totals_cannot_be_written", "post"),
        "PUT on totals": ("test_totals.test_totals_cannot_be_written", "put"),
        "PATCH on totals": ("test_totals.test_totals_cannot_be_written", "patch"),
        "DELETE on totals": ("test_totals.test_totals_cannot_be_written", "delete"),
        "no credentials": (f"{AUTH}.test_without_credentials_the_answer_is_401", ANY),
        "expired token": (f"{AUTH}.test_an_expired_token_is_401", ANY),
        "revoked token": (f"{AUTH}.test_logging_out_revokes_this_token_alone", ANY),
        "session without CSRF token, login included": (
            f"{AUTH}.test_a_session_reads_and_needs_a_csrf_token_to_write",
            ANY,
        ),
        "verify and rebuild by an ordinary user": (ORDINARY_USER, ANY),
        "a second rebuild at once": ("test_runs.test_a_second_rebuild_at_once_is_409_and_names_the_first", ANY),
        "stale If-Match": ("test_preconditions.test_a_write_on_anything_else_is_412_and_changes_nothing", "stale"),
    },
    "Idempotency-Key": {
        "replay": (f"{IDEMPOTENCY}.test_a_replay_gets_the_same_response_and_leaves_one_row", ANY),
        "another body": (f"{IDEMPOTENCY}.test_the_same_key_with_another_body_is_422", ANY),
        "two at once": (f"{IDEMPOTENCY}.test_two_at_once_leave_one_row_and_get_the_same_response", ANY),
        "somebody else's key": (f"{IDEMPOTENCY}.test_somebody_elses_key_is_a_key_of_ones_own", ANY),
        "an overlong key": (f"{IDEMPOTENCY}.test_a_key_that_cannot_be_kept_is_400", "k" * 256),
        "replay of many rows": (f"{IDEMPOTENCY}.test_a_replay_of_many_rows_gets_the_same_response", ANY),
        "many rows at once": (f"{IDEMPOTENCY}.test_many_rows_sent_twice_at_once_are_stored_once", ANY),
    },
    "Rates": {
        "burst": ("test_rates.test_a_burst_of_a_user_is_429_with_retry_after", ANY),
        "the 11th wrong password by account": (
            "test_lockout.test_the_11th_wrong_password_for_an_account_is_429_wherever_it_comes_from",
            ANY,
        ),
        "the 11th wrong password by address": (
            "test_lockout.test_the_11th_wrong_password_from_an_address_is_429_whatever_the_account",
            ANY,
        ),
        "the same text for unknown users": (
            "test_lockout.test_accounts_that_are_there_and_those_that_are_not_get_the_same_answers",
            ANY,
        ),
        "the same timing for unknown users": (
            "test_lockout.test_as_much_is_computed_for_accounts_that_are_not_there",
            ANY,
        ),
    },
    "Deployment": {
        "missing SECRET_KEY": (KEY, None),
        "short SECRET_KEY": (KEY, "short"),
        "django-insecure- SECRET_KEY": (KEY, "django-insecure-" + "0123456789" * 5),
        "a weak SECRET_KEY under gunicorn": (
            "test_deployment.test_gunicorn_starts_with_a_strong_key_and_not_without",
            ANY,
        ),
        "any weak SECRET_KEY": ("test_production.test_a_weak_key_is_refused", ANY),
        "check --deploy": (
            "test_deployment.test_the_deployment_check_is_clean_with_the_settings_of_the_page_and_not_without",
            ANY,
        ),
        "logs are JSON, one line an event": ("test_operations.test_every_line_is_json_with_id_user_and_status", ANY),
        "logs are escaped": ("test_operations.test_nothing_that_a_client_sends_makes_a_line_of_its_own", ANY),
        "logs without secrets": ("test_operations.test_no_secret_is_logged", ANY),
        "a dependency audit and a search for secrets in make check": (
            "test_find_secrets.test_the_check_of_the_project_runs_it",
            ANY,
        ),
        "a dependency audit": ("test_audit.test_what_is_vulnerable_is_named_with_what_mends_it", ANY),
    },
    "Exports": {
        **{f"a cell that starts with {start!r}": (FORMULA, start) for start in ("=", "+", "-", "@", "\t", "\r")},
        "amounts stay numbers": (FORMULA, "-"),
        "<script> as a category name": ("test_categories.test_markup_in_a_name_is_text", ANY),
        "text in the file of a list": ("test_admin_export.test_text_is_no_formula_and_amounts_are_numbers", ANY),
        "<script> on the dashboard": ("test_dashboard_pages.test_markup_is_text_on_every_page", ANY),
        "<script> in the admin": ("test_markup.test_markup_is_text_on_every_page_of_the_admin", ANY),
    },
}
PACKAGES = {
    "test_markup": "tests.integration.expenses",
    "test_admin_export": "tests.integration.expenses",
    "test_dashboard_pages": "tests.integration.expenses",
    "test_find_secrets": "tests.unit.scripts",
    "test_deployment": "tests.functional",
    "test_operations": "tests.functional",
    "test_production": "tests.unit.config",
    "test_audit": "tests.unit.scripts",
}


def held(case: tuple[str, Any]) -> bool:
    """Return whether there is such a test, run with the value of the case."""
    name, value = case
    module, test = name.split(".")
    function = getattr(importlib.import_module(f"{PACKAGES.get(module, __package__)}.{module}"), test)
    marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
    values = [given for mark in marks for given in mark.args[1]]
    return value is ANY or any(type(given) is type(value) and given == value for given in values)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{part}: {name}") for part, cases in CASES.items() for name, case in cases.items()]
)
def test_the_case_is_held_by_a_test(case: tuple[str, Any]) -> None:
    assert held(case)


def test_a_case_that_no_test_is_run_with_is_noticed() -> None:
    assert not held((AMOUNT, '"12.50"'))
    with pytest.raises(AttributeError):
        held((f"{RULES}.test_nothing", ANY))
