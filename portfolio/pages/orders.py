"""Orders as a list, one order with everything it touched, and canceling."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from brokers.market_data import clock
from portfolio import orders as verbs
from portfolio import queries
from portfolio.models import Order
from portfolio.pages import answers, sentences
from portfolio.pages import frame as frames
from portfolio.pages.access import actor, own_portfolio, signed_in

FILTERS = (
    ("", "All"),
    ("working", "Working"),
    ("FILLED", "Filled"),
    ("CANCELED", "Canceled"),
    ("DENIED", "Refused"),
    ("REJECTED", "Rejected by the venue"),
    ("EXPIRED", "Expired"),
)


@require_safe
@signed_in
def listing(request: HttpRequest, portfolio_id: int) -> HttpResponse:
    own_portfolio(request, portfolio_id)
    names = dict(FILTERS)
    status = request.GET.get("status", "")
    status = status if status in names else ""
    context = {
        "portfolio": frames.of(request).card(portfolio_id),
        "orders": queries.orders(request.user, portfolio_id, status=status),
        "status": status,
        "status_name": names[status],
    }
    return answers.live(
        request,
        page="portfolio/orders.html",
        fragment="portfolio/_orders.html",
        shown=list(context.values()),
        context={**context, "tab": "orders", "filters": FILTERS, "rows_max": queries.ROWS_MAX},
    )


@require_safe
@signed_in
def order(request: HttpRequest, order_id: int) -> HttpResponse:
    detail = queries.order_detail(request.user, order_id)
    if detail is None:
        raise Http404
    context = {
        "portfolio": frames.of(request).card(detail.order.portfolio_id),
        "detail": detail,
        "order": detail.order,
        "wish": sentences.order_wish(detail.order),
    }
    return answers.live(
        request,
        page="portfolio/order.html",
        fragment="portfolio/_order.html",
        shown=detail,
        context={**context, "tab": "orders", "me": actor(request)},
    )


@require_POST
@signed_in
def cancel(request: HttpRequest, order_id: int) -> HttpResponse:
    """Cancel one order. Cancels always pass, also of a halted portfolio; a finished order stays as it is."""
    row = get_object_or_404(Order.objects.for_user(request.user).select_related("portfolio"), pk=order_id)
    canceled = verbs.cancel([row], actor=actor(request), now=clock.now())
    verbs.sync([row.portfolio], now=clock.now())
    for each in canceled:
        each.refresh_from_db()
    detail = queries.order_detail(request.user, order_id)
    page = reverse("portfolio:order", args=[order_id])
    message = sentences.outcome(canceled or [row], what=sentences.order_wish(detail.order))
    return answers.done(request, message, to=page, link=page)
