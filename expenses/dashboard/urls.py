"""Routes of the pages for people."""

from __future__ import annotations

from django.urls import path

from expenses.dashboard import views, writing

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("expenses/", views.expenses, name="expenses"),
    path("expenses/add/", writing.add, name="add"),
    path("expenses/<uuid:key>/", writing.change, name="change"),
    path("expenses/<uuid:key>/delete/", writing.delete, name="delete"),
]
