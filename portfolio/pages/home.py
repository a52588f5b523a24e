"""The first page: every portfolio, what is owned in all, and opening another one."""

import uuid
from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from brokers import registry
from brokers.market_data import clock
from portfolio import portfolios, queries
from portfolio.pages import answers
from portfolio.pages import frame as frames
from portfolio.pages.access import actor, signed_in
from portfolio.pages.forms import DisplayForm, PortfolioForm

START_CASH = Decimal(100_000)
PRESET_NAMES = {
    "CONSERVATIVE": "Conservative",
    "ALPACA_LIKE": "Like Alpaca's paper trading",
    "TRADIER_LIKE": "Like Tradier",
    "IBKR_TIERED": "Like Interactive Brokers, tiered, on margin",
    "FRICTIONLESS": "Frictionless",
}


@require_safe
@signed_in
def home(request: HttpRequest) -> HttpResponse:
    frame = frames.of(request)
    archived = request.GET.get("show") == "archived"
    cards = frame.archived if archived else frame.open_portfolios
    context = {
        "cards": cards,
        "totals": () if archived else queries.totals(cards),
        "showing_archived": archived,
        "tab": "home",
    }
    return answers.live(
        request,
        page="portfolio/home.html",
        fragment="portfolio/_home.html",
        shown=(cards, frame.day),
        context=context,
    )


@require_http_methods(["GET", "POST"])
@signed_in
def new_portfolio(request: HttpRequest) -> HttpResponse:
    presets = registry.presets()
    start = {"cash": f"{START_CASH:f}", "preset": presets[0][0], "key": uuid.uuid4()}
    form = PortfolioForm(request.POST or None, initial=start, presets=presets)
    if request.method == "POST" and form.is_valid():
        try:
            opened = portfolios.open(
                user=request.user,
                name=form.cleaned_data["name"],
                cash=form.cleaned_data["cash"],
                preset=form.cleaned_data["preset"],
                key=str(form.cleaned_data["key"] or uuid.uuid4()),
                actor=actor(request),
                now=clock.now(),
            )
        except portfolios.NameTaken as error:
            form.add_error("name", str(error))
        except ValueError as error:
            form.add_error(None, str(error))
        else:
            message = f"{opened.name} is open with ${opened.initial_cash:,.2f} of paper money."
            to = reverse("portfolio:positions", args=[opened.pk])
            return answers.done(request, message, to=to)
    context = {
        "form": form,
        "presets": [(name, PRESET_NAMES.get(name, name), sentence) for name, sentence in presets],
    }
    return render(request, "portfolio/new.html", context, status=422 if form.is_bound else 200)


@require_safe
@signed_in
def market_clock(request: HttpRequest) -> HttpResponse:
    """Answer the clock of the frame alone: it corrects the one that ticks in the page."""
    return render(
        request,
        "portfolio/_clock.html",
        {"clock": frames.market_clock(), "zone": frames.zone_of(request.user)},
    )


@require_http_methods(["GET", "POST"])
@signed_in
def display(request: HttpRequest) -> HttpResponse:
    form = DisplayForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        return answers.done(request, "Display settings saved.", to=reverse("portfolio:display"))
    return render(request, "portfolio/display.html", {"form": form}, status=422 if form.is_bound else 200)
