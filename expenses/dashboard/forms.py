"""Forms in which owners write their expenses, and the look of the one to log in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from expenses import currencies
from expenses.dashboard.filters import DayInput
from expenses.models import LAST_DAY, Expense


class LoginForm(AuthenticationForm):
    """Asks for name and password."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "Name or password is wrong. Note that both tell capitals from small letters.",
    }


class ExpenseForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """One expense of the user's own.

    ``version`` is when the expense that the form was filled from was last written: what was written
    since is not lost.
    """

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Expense
        fields = ("spent_on", "amount", "currency", "category", "status", "description")
        widgets = {
            "spent_on": DayInput,
            "amount": forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
            "currency": forms.TextInput(
                attrs={"list": "currencies", "maxlength": 3, "autocomplete": "off", "autocapitalize": "characters"}
            ),
            "description": forms.Textarea(attrs={"rows": 3}),
        }
        help_texts = {
            "spent_on": "",
            "amount": "A refund is negative, such as -12.50.",
            "currency": "Three letters, such as EUR.",
            "status": "Drafts are in no total.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        expense = self.instance
        self.fields["spent_on"].widget.attrs["max"] = LAST_DAY.isoformat()
        self.fields["category"].empty_label = "Uncategorised"  # type: ignore[attr-defined]  # a ModelChoiceField's
        if not expense._state.adding:
            self.initial["version"] = version(expense)
            self.initial["amount"] = currencies.plain(expense.amount, expense.currency)

    def clean_currency(self) -> str:
        """Take small letters for capitals."""
        return str(self.cleaned_data["currency"]).upper()

    def clean_version(self) -> str:
        """Refuse to write over what somebody else wrote meanwhile."""
        seen = str(self.cleaned_data["version"])
        if not self.instance._state.adding and seen != version(self.instance):
            raise ValidationError("This expense was changed meanwhile. Look at it again, then change it.")
        return seen


def version(expense: Expense) -> str:
    """Return what tells one state of an expense from the next."""
    return expense.updated_at.isoformat()
