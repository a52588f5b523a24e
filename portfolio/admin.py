"""What staff may look at; money columns are never edited here, and append-only tables are read-only."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from portfolio.models import (
    Fill,
    JournalEntry,
    LedgerTransaction,
    Order,
    Portfolio,
    RiskLimits,
    Snapshot,
    Trade,
    User,
)


class ReadOnly(admin.ModelAdmin):
    """Look, search and filter; nothing is added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class PeopleAdmin(UserAdmin):
    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "is_staff", "is_active")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "time_zone")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # people are deactivated; what they own stays


@admin.register(Portfolio)
class PortfolioAdmin(ReadOnly):
    list_display = ("name", "user", "venue", "environment", "cash", "trading_state", "archived_at")
    list_filter = ("venue", "environment", "trading_state")
    list_select_related = ("user",)
    search_fields = ("name", "user__email", "account_id")


@admin.register(RiskLimits)
class RiskLimitsAdmin(admin.ModelAdmin):
    list_display = ("portfolio", "user", "position_percent", "trades_per_day", "order_value_max")
    list_select_related = ("portfolio", "user")
    readonly_fields = ("portfolio", "user", "version")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Order)
class OrderAdmin(ReadOnly):
    list_display = ("id", "user", "portfolio", "origin", "order_type", "quantity", "status", "submitted_at")
    list_filter = ("status", "origin", "role")
    list_select_related = ("user", "portfolio")
    search_fields = ("=id", "client_order_id", "user__email")
    show_full_result_count = False


@admin.register(Trade)
class TradeAdmin(ReadOnly):
    list_display = ("id", "user", "portfolio", "symbol", "direction", "status", "realized_pnl", "opened_at")
    list_filter = ("status", "origin", "close_reason")
    list_select_related = ("user", "portfolio")
    search_fields = ("=id", "symbol", "user__email")
    show_full_result_count = False


@admin.register(Fill)
class FillAdmin(ReadOnly):
    list_display = ("id", "user", "portfolio", "instrument", "side", "quantity", "price", "executed_at")
    list_select_related = ("user", "portfolio", "instrument")
    search_fields = ("venue_fill_id", "instrument__symbol", "user__email")
    show_full_result_count = False


@admin.register(LedgerTransaction)
class LedgerAdmin(ReadOnly):
    list_display = ("id", "user", "portfolio", "kind", "key", "occurred_at")
    list_filter = ("kind",)
    list_select_related = ("user", "portfolio")
    search_fields = ("key", "user__email")
    show_full_result_count = False


@admin.register(JournalEntry)
class JournalAdmin(ReadOnly):
    list_display = ("sequence", "user", "name", "subject", "actor", "at")
    list_select_related = ("user",)
    search_fields = ("name", "subject", "user__email")
    show_full_result_count = False


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly):
    list_display = ("id", "user", "portfolio", "kind", "session_date", "equity", "drawdown", "complete")
    list_filter = ("kind", "complete")
    list_select_related = ("user", "portfolio")
    show_full_result_count = False
