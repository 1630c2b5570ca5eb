"""The API's routes."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularSwaggerSplitView

from api import (
    auth,
    bulk,
    categories,
    expenses,
    handlers,
    history,
    imports,
    metrics,
    months,
    probes,
    runs,
    schema,
    totals,
)

v1: list[URLPattern | URLResolver] = [
    path("auth/login/", auth.LoginView.as_view(), name="login"),
    path("auth/logout/", auth.LogoutView.as_view(), name="logout"),
    path("auth/logoutall/", auth.LogoutAllView.as_view(), name="logoutall"),
    path("categories/", categories.CategoryListView.as_view(), name="categories"),
    path("categories/<int:pk>/", categories.CategoryView.as_view(), name="category"),
    path("categories/<int:pk>/merge/", categories.CategoryMergeView.as_view(), name="category-merge"),
    path("expenses/", expenses.ExpenseListView.as_view(), name="expenses"),
    path("expenses/bulk/", bulk.ExpenseBulkView.as_view(), name="expenses-bulk"),
    path("expenses/import/", imports.ExpenseImportView.as_view(), name="expenses-import"),
    path("expenses/<uuid:id>/", expenses.ExpenseView.as_view(), name="expense"),
    path("expenses/<uuid:id>/history/", history.ExpenseHistoryView.as_view(), name="expense-history"),
    path("months/", months.ClosedMonthsView.as_view(), name="months"),
    path("months/<str:month>/close/", months.MonthCloseView.as_view(), name="month-close"),
    path("months/<str:month>/reopen/", months.MonthReopenView.as_view(), name="month-reopen"),
    path("totals/", totals.TotalsView.as_view(), name="totals"),
    path("totals/rebuild/", runs.RebuildView.as_view(), name="rebuild"),
    path("totals/rebuild/<uuid:id>/", runs.RebuildRunView.as_view(), name="rebuild-run"),
    path("totals/verify/", runs.VerifyView.as_view(), name="verify"),
    path("totals/verify/<uuid:id>/", runs.VerifyRunView.as_view(), name="verify-run"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include(v1)),
    path("api/schema/", schema.SchemaView.as_view(), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api/docs.html"),
        name="docs",
    ),
    path("livez", probes.livez, name="livez"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    re_path(r"^api(?:/.*)?$", handlers.no_such_path),
]
