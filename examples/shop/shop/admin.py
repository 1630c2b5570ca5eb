"""The admin of the example. The engine brings its own pages: runs, and which rollups are ready."""

from django.contrib import admin

from aggregates.admin import ReadOnlyAdmin
from shop.models import Sale, SaleTotals, Shop, Visit

admin.site.register([Shop, Visit])


@admin.register(Sale)
class SaleAdmin(admin.ModelAdmin):
    """Whatever is written here, the totals follow."""

    list_display = ("sold_on", "shop", "channel", "price", "taken_back")
    list_editable = ("taken_back",)
    date_hierarchy = "sold_on"


@admin.register(SaleTotals)
class SaleTotalsAdmin(ReadOnlyAdmin):
    """The stored totals, to be read."""

    list_display = ("rollup", "shop", "month", "slot", "revenue", "sales")
    list_filter = ("rollup",)
