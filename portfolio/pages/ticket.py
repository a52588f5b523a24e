"""The order ticket: a quote that lives, an estimate with every refusal at once, and one order a ticket."""

import uuid
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from brokers.enums import Environment, OrderType, Side, TimeInForce
from brokers.errors import BrokerError
from brokers.market_data import clock, prices
from portfolio import orders, queries
from portfolio.enums import Origin
from portfolio.models import Order, Portfolio
from portfolio.pages import answers, sentences
from portfolio.pages import frame as frames
from portfolio.pages.access import actor, open_portfolio, signed_in
from portfolio.pages.forms import TicketForm

PRICES = ("limit_price", "stop_price", "trail_amount", "trail_percent")


@require_http_methods(["GET", "POST"])
@signed_in
def ticket(request: HttpRequest, portfolio_id: int) -> HttpResponse:
    """
    Show a ticket, or send its order.

    The address carries the ticket's key: a double press, a reload or Back finds the order it became.
    """
    portfolio = open_portfolio(request, portfolio_id)
    key = _key(request)
    if key is None:
        return redirect(_address(portfolio, request.GET.dict()))
    if request.method == "GET":
        return _opened(request, portfolio, key)
    form = _form(request, data=request.POST)
    if portfolio.environment == Environment.LIVE and "reviewed" not in request.POST:
        form.add_error(None, "A live order is sent from its review: press Review first.")
    if not form.is_valid():
        return _page(request, portfolio, key, form, status=422)
    return _send(request, portfolio, key, form)


def _opened(request: HttpRequest, portfolio: Portfolio, key: uuid.UUID) -> HttpResponse:
    earlier = Order.objects.for_user(request.user).filter(portfolio=portfolio, intent_key=f"form:{key}")
    first = earlier.order_by("pk").first()
    if first is not None:
        message = "This ticket was sent already; this is its order."
        return answers.done(request, message, to=reverse("portfolio:order", args=[first.pk]))
    start = {
        "symbol": request.GET.get("symbol", "").upper(),
        "side": Side.SELL if request.GET.get("side") == Side.SELL else Side.BUY,
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.DAY,
    }
    return _page(request, portfolio, key, _form(request, initial=start))


def _send(request: HttpRequest, portfolio: Portfolio, key: uuid.UUID, form: TicketForm) -> HttpResponse:
    intent = _intent(request, portfolio, form, intent_key=f"form:{key}")
    try:
        sent = orders.submit([intent], now=clock.now())
    except orders.IntentChanged as error:
        form.add_error(None, str(error))
        return _page(request, portfolio, uuid.uuid4(), form, status=409)
    if refused := sentences.refusals(sent):
        # A refused order is final: the corrected ticket is another order and needs another key.
        return _page(request, portfolio, uuid.uuid4(), form, refused=refused, status=422)
    orders.sync([portfolio], now=clock.now())
    for order in sent:
        order.refresh_from_db()
    single = len(sent) == 1
    to = (
        reverse("portfolio:order", args=[sent[0].pk]) if single else reverse("portfolio:positions", args=[portfolio.pk])
    )
    return answers.done(request, sentences.outcome(sent, what=_wish(form)), to=to)


# ------------------------------------------------------------------ fragments


@require_safe
@signed_in
def quote(request: HttpRequest, portfolio_id: int) -> HttpResponse:
    open_portfolio(request, portfolio_id)
    shown = _quote(request.GET.get("symbol", ""))
    version = answers.digest(shown)
    if request.GET.get("v") == version:
        return HttpResponse(status=204)
    return render(request, "portfolio/_quote.html", {"quote": shown, "version": version, "portfolio_id": portfolio_id})


@require_POST
@signed_in
def estimate(request: HttpRequest, portfolio_id: int) -> HttpResponse:
    """Check the ticket as it stands, with the function that checks it when it is sent. Nothing is stored."""
    portfolio = open_portfolio(request, portfolio_id)
    form = _form(request, data=request.POST)
    context: dict[str, Any] = {"portfolio": frames.of(request).card(portfolio_id)}
    if form.is_valid():
        context |= _preview(request, portfolio, form)
    return render(request, "portfolio/_estimate.html", context)


@require_POST
@signed_in
def review(request: HttpRequest, portfolio_id: int) -> HttpResponse:
    portfolio = open_portfolio(request, portfolio_id)
    form = _form(request, data=request.POST)
    context: dict[str, Any] = {"portfolio": frames.of(request).card(portfolio_id), "form": form}
    if form.is_valid():
        context |= {**_preview(request, portfolio, form), "wish": _wish(form)}
    return answers.dialog(request, "portfolio/review.html", context)


# ------------------------------------------------------------------ parts


def _key(request: HttpRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.GET.get("key", ""))
    except ValueError:
        return None


def _address(portfolio: Portfolio, given: dict[str, Any]) -> str:
    query = {name: given[name] for name in ("symbol", "side") if name in given}
    page = reverse("portfolio:ticket", args=[portfolio.pk])
    return f"{page}?{urlencode(query | {'key': uuid.uuid4()})}"


def _form(request: HttpRequest, **given: Any) -> TicketForm:
    return TicketForm(listings=queries.tradable(), **given)


def _page(
    request: HttpRequest,
    portfolio: Portfolio,
    key: uuid.UUID,
    form: TicketForm,
    *,
    refused: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    symbol = form.data.get("symbol", "") if form.is_bound else form.initial.get("symbol", "")
    shown = _quote(symbol)
    context = {
        "portfolio": frames.of(request).card(portfolio.pk),
        "form": form,
        "key": key,
        "refused": refused or [],
        "quote": shown,
        "version": answers.digest(shown),
        "portfolio_id": portfolio.pk,
        "tab": "ticket",
    }
    if form.is_bound and form.is_valid():
        context |= _preview(request, portfolio, form)
    return render(request, "portfolio/ticket.html", context, status=status)


def _intent(request: HttpRequest, portfolio: Portfolio, form: TicketForm, *, intent_key: str) -> Any:
    data = form.cleaned_data
    return orders.OrderIntent(
        portfolio=portfolio,
        origin=Origin.MANUAL,
        intent_key=intent_key,
        symbol=data["symbol"],
        side=Side(data["side"]),
        order_type=OrderType(data["order_type"]),
        time_in_force=TimeInForce(data["time_in_force"]),
        quantity=data["quantity"],
        notional=data["notional"],
        **{name: data[name] for name in PRICES},
        expires_on=data["expires_on"],
        extended_hours=data["extended_hours"],
        trade=None,
        plan={"tags": data["tags"], "note": data["note"]},
        actor=actor(request),
    )


def _preview(request: HttpRequest, portfolio: Portfolio, form: TicketForm) -> dict[str, Any]:
    """Return the estimate, or the sentence why the venue cannot give one now."""
    intent = _intent(request, portfolio, form, intent_key=f"preview:{uuid.uuid4()}")
    try:
        return {"estimate": orders.preview(intent, now=clock.now())}
    except BrokerError as error:
        return {"problem": str(error)}


def _wish(form: TicketForm) -> str:
    data = form.cleaned_data
    return sentences.wish(
        **{name: data[name] for name in ("side", "symbol", "order_type", "quantity", "notional", *PRICES)}
    )


def _quote(symbol: str) -> dict[str, Any]:
    """Return the market's word on a symbol; without a price, why there is none."""
    wanted = symbol.strip().upper()
    listing = next((row for row in queries.tradable() if row.symbol == wanted), None)
    if listing is None:
        return {"symbol": wanted, "listing": None, "price": None, "reason": ""}
    found = prices.latest([wanted], clock.now())[wanted]
    is_priced = not isinstance(found, prices.PriceUnavailable)
    return {
        "symbol": wanted,
        "listing": listing,
        "price": found if is_priced else None,
        "reason": "" if is_priced else str(found),
    }
