"""Stop trading: halt, reduce only, resume. Cancels always pass and nothing is closed."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from brokers.market_data import clock
from portfolio import portfolios
from portfolio.models import Portfolio
from portfolio.pages import answers
from portfolio.pages import frame as frames
from portfolio.pages.access import actor, open_portfolio, signed_in
from portfolio.pages.forms import TradingStateForm

BY_HAND = "Stopped by hand"


@require_safe
@signed_in
def stop(request: HttpRequest) -> HttpResponse:
    return answers.dialog(request, "portfolio/stop.html", {"cards": frames.of(request).open_portfolios})


@require_POST
@signed_in
def change(request: HttpRequest, portfolio_id: int) -> HttpResponse:
    row = open_portfolio(request, portfolio_id)
    form = TradingStateForm(request.POST)
    if not form.is_valid():
        return render(request, "400.html", {"sentence": "Choose Halt, Reduce only or Resume."}, status=400)
    try:
        message = _change(request, row, **form.cleaned_data)
    except portfolios.StateUnchanged as error:
        message = str(error)
    return answers.done(request, message, to=reverse("portfolio:positions", args=[row.pk]))


def _change(request: HttpRequest, row: Portfolio, *, action: str, reason: str) -> str:
    who: dict[str, Any] = {"actor": actor(request), "now": clock.now()}
    if action == "resume":
        portfolios.resume(row, **who)
        return f"{row.name} trades again."
    if action == "reduce":
        portfolios.reduce(row, reason=reason or BY_HAND, **who)
        return f"{row.name} only reduces: orders that add exposure are refused."
    portfolios.halt(row, reason=reason or BY_HAND, **who)
    return f"{row.name} is halted: every new order is refused, cancels pass, nothing was closed."
