"""What staff see of instruments and market data; what is derived or append-only can only be read."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from brokers.models import (
    Bar,
    CorporateAction,
    FeeRate,
    ImportRowError,
    ImportRun,
    Instrument,
    InstrumentAlias,
    LatestPrice,
    ReplayAnchor,
)


class ReadOnly:
    """Rows that programs write: to be looked at, never added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class AliasInline(ReadOnly, admin.TabularInline):
    model = InstrumentAlias
    extra = 0


@admin.register(Instrument)
class InstrumentAdmin(admin.ModelAdmin):
    list_display = ("symbol", "kind", "listed_name", "sector", "is_fractionable", "is_shortable", "is_active")
    list_filter = ("kind", "is_active", "sector")
    search_fields = ("=id", "symbol", "listed_name", "aliases__symbol")
    ordering = ("symbol", "pk")
    readonly_fields = ("symbol", "kind", "currency", "multiplier", "first_date", "last_date", "created_at")
    inlines = (AliasInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # instruments come from the universe, an import or a venue

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Bar)
class BarAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("instrument", "timeframe", "at", "open", "high", "low", "close", "volume", "source")
    list_filter = ("timeframe",)
    list_select_related = ("instrument",)
    search_fields = ("=instrument__symbol",)
    ordering = ("-pk",)
    show_full_result_count = False


@admin.register(LatestPrice)
class LatestPriceAdmin(ReadOnly, admin.ModelAdmin):
    list_display = (
        "instrument", "bid", "ask", "quote_as_of", "last", "last_as_of", "source", "quarantined_price",
    )  # fmt: skip
    list_select_related = ("instrument",)
    search_fields = ("=instrument__symbol",)
    ordering = ("instrument__symbol",)


@admin.register(ReplayAnchor)
class ReplayAnchorAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("number", "anchor_real", "anchor_virtual", "speed", "reason")
    ordering = ("-number",)


@admin.register(CorporateAction)
class CorporateActionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = (
        "ex_date", "instrument", "kind", "ratio_from", "ratio_to", "cash_per_share", "step", "state",
    )  # fmt: skip
    list_filter = ("kind", "state", "source")
    list_select_related = ("instrument",)
    search_fields = ("=instrument__symbol", "=event_id")
    date_hierarchy = "ex_date"
    ordering = ("-ex_date", "-pk")


@admin.register(FeeRate)
class FeeRateAdmin(admin.ModelAdmin):
    list_display = ("name", "valid_from", "rate", "cap", "source")
    list_filter = ("name",)
    search_fields = ("name", "source")
    ordering = ("name", "-valid_from")


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnly, admin.ModelAdmin):
    list_display = (
        "file_name", "kind", "source", "state", "is_dry_run", "rows_read", "rows_inserted", "rows_updated",
        "rows_unchanged", "rows_failed", "events_inserted", "created_at", "finished_at",
    )  # fmt: skip
    list_filter = ("kind", "state", "timeframe")
    search_fields = ("=id", "file_name", "=sha256")
    ordering = ("-pk",)


@admin.register(ImportRowError)
class ImportRowErrorAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("run", "line", "column", "value", "message")
    list_select_related = ("run",)
    search_fields = ("=run__id", "message")
    ordering = ("-run", "line")
    show_full_result_count = False
