"""Open positions with their marks, and closing one trade."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from brokers.enums import OrderType, Side, TimeInForce
from brokers.errors import BrokerError
from brokers.market_data import clock
from portfolio import orders, queries, trades
from portfolio.enums import CloseReason, Origin
from portfolio.models import Trade
from portfolio.pages import answers, figures, sentences
from portfolio.pages import frame as frames
from portfolio.pages.access import actor, own_portfolio, signed_in
from portfolio.pages.forms import CloseForm


@require_safe
@signed_in
def positions(request: HttpRequest, portfolio_id: int) -> HttpResponse:
    own_portfolio(request, portfolio_id)
    frame = frames.of(request)
    card = frame.card(portfolio_id)
    by_instrument = request.GET.get("by") == "instrument"
    read = queries.positions_by_instrument if by_instrument else queries.positions_by_trade
    context = {
        "portfolio": card,
        "by_instrument": by_instrument,
        "open": read(request.user, portfolio_id, now=frame.now),
        "working": queries.working_orders(request.user, portfolio_id),
        "fills": queries.recent_fills(request.user, portfolio_id),
    }
    return answers.live(
        request,
        page="portfolio/positions.html",
        fragment="portfolio/_positions.html",
        shown=list(context.values()),
        context={**context, "tab": "positions"},
    )


@require_http_methods(["GET", "POST"])
@signed_in
def close(request: HttpRequest, trade_id: int) -> HttpResponse:
    """Ask before closing, then close: the dialog carries the version it showed and a key of its own."""
    trade = get_object_or_404(
        Trade.objects.for_user(request.user).filter(portfolio__archived_at__isnull=True), pk=trade_id
    )
    if request.method == "GET":
        return _ask(request, trade)
    form = CloseForm(request.POST)
    if not form.is_valid():
        return _ask(request, trade, form=form, status=422)
    row = queries.trade_row(request.user, trade.pk, now=clock.now())
    held, wanted = abs(row.quantity) if row else None, form.cleaned_data["quantity"]
    if held is not None and wanted > held:
        form.add_error("quantity", f"The trade holds {figures.quantity(held)}; more cannot be closed.")
        return _ask(request, trade, form=form, status=422)
    try:
        sent = trades.close(
            trade,
            quantity=None if held is None or wanted == held else wanted,
            reason=CloseReason.MANUAL,
            key=f"close:{form.cleaned_data['key']}",
            actor=actor(request),
            now=clock.now(),
            version=form.cleaned_data["version"],
        )
    except trades.CloseRefused as error:
        return _ask(request, trade, refused=error.sentences, status=422)
    except trades.TradeChanged as error:
        return _ask(request, trade, conflict=str(error), status=409)
    if refused := sentences.refusals(sent):
        return _ask(request, trade, refused=refused, status=422)
    return _closed(request, trade, sent)


def _closed(request: HttpRequest, trade: Trade, sent: list[Any]) -> HttpResponse:
    orders.sync([trade.portfolio], now=clock.now())
    for order in sent:
        order.refresh_from_db()
    return answers.done(
        request,
        sentences.outcome(sent, what=f"Close {trade.symbol}"),
        to=reverse("portfolio:positions", args=[trade.portfolio_id]),
        link=reverse("portfolio:order", args=[sent[0].pk]) if len(sent) == 1 else "",
    )


def _ask(
    request: HttpRequest,
    trade: Trade,
    *,
    form: CloseForm | None = None,
    conflict: str = "",
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    frame = frames.of(request)
    row = queries.trade_row(request.user, trade.pk, now=frame.now)
    fresh = {"quantity": f"{abs(row.quantity).normalize():f}", "version": row.version} if row else {}
    context = {
        "portfolio": frame.card(trade.portfolio_id),
        "trade": row,
        "symbol": trade.symbol,
        "form": form or CloseForm(initial={**fresh, "key": uuid.uuid4()}),
        "conflict": conflict,
        "refused": refused or [],
        "estimate": _estimate(request, trade, row) if row and not row.is_closing else None,
    }
    return answers.dialog(request, "portfolio/close.html", context, status=status)


def _estimate(request: HttpRequest, trade: Trade, row: queries.TradeRow) -> dict[str, Any]:
    """Estimate closing all of it: side, price, proceeds and the profit after fees."""
    side = Side.SELL if row.quantity > 0 else Side.BUY
    intent = orders.OrderIntent(
        portfolio=trade.portfolio,
        origin=Origin(trade.origin),
        intent_key=f"preview:{uuid.uuid4()}",
        symbol=row.symbol,
        side=side,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        quantity=abs(row.quantity),
        trade=trade,
        plan={},
        actor=actor(request),
    )
    try:
        estimate = orders.preview(intent, now=clock.now())
    except BrokerError as error:
        return {"side": side, "problem": str(error)}
    costs = (estimate.commission or 0) + (estimate.fees or 0)
    profit = None
    if estimate.price is not None and row.entry is not None:
        profit = (estimate.price - row.entry) * row.quantity - costs
    return {
        "side": side,
        "price": estimate.price,
        "notional": estimate.notional,
        "costs": costs,
        "profit": profit,
        "denials": estimate.denials,
        "warnings": estimate.warnings,
    }
