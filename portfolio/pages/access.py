"""Who may see a page: signed-in users their own rows; everything else does not exist."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_cache_control

from portfolio.models import Portfolio
from portfolio.pages import retries

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """
    Let only signed-in users through.

    A page sends others to the sign-in form. A fragment answers 401, so that the page can say "Signed out" and
    keep what was typed instead of showing the sign-in form inside a table.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            answer = retries.when_locked(lambda: view(request, *args, **kwargs))
            patch_cache_control(answer, private=True)
            return answer
        if request.htmx:
            return HttpResponse(status=401)
        return redirect_to_login(request.get_full_path())

    return guarded


def own_portfolio(request: HttpRequest, portfolio_id: int) -> Portfolio:
    """Load a portfolio through its user; another user's is answered like a missing one, 404."""
    return get_object_or_404(Portfolio.objects.for_user(request.user), pk=portfolio_id)


def open_portfolio(request: HttpRequest, portfolio_id: int) -> Portfolio:
    """Load a portfolio that may be acted on: archived ones are read-only, so acting on one is 404."""
    return get_object_or_404(Portfolio.objects.for_user(request.user).filter(archived_at__isnull=True), pk=portfolio_id)


def actor(request: HttpRequest) -> str:
    return f"user:{request.user.pk}"
