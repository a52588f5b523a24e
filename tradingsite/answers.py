"""Answers that belong to no page: a locked sign-in and a failure of the desk itself."""

import logging
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader

from brokers.market_data import clock

EXCHANGE_ZONE = ZoneInfo("America/New_York")
logger = logging.getLogger(__name__)


def locked_out(request: HttpRequest, _answer: HttpResponse | None, credentials: Any) -> HttpResponse:
    """Say when the next try is allowed, in one sentence with status 429, to browsers and programs alike."""
    until = _locked_until(request, credentials or {}).astimezone(EXCHANGE_ZONE)
    context = {"try_again": f"{until:%H:%M %Z}"}
    return render(request, "429.html", context, status=settings.AXES_HTTP_RESPONSE_CODE)


def sign_in_name(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str:
    """Return the name under which failures are counted: accounts ignore its case, so counting does too."""
    given = (credentials or {}).get("username") or request.POST.get("username") or ""
    return str(given).strip().lower()


def _locked_until(request: HttpRequest, credentials: Mapping[str, Any]) -> datetime:
    """Return the end of the lock, in real time: sign-in never follows replay time."""
    tries = AccessAttempt.objects.filter(username=sign_in_name(request, credentials))
    last = tries.aggregate(last=Max("attempt_time"))["last"]
    return (last or clock.real_now()) + settings.AXES_COOLOFF_TIME


def failed(request: HttpRequest) -> HttpResponse:
    """Answer an error of the desk with an id that stands in the log beside the traceback."""
    request_id = secrets.token_hex(4)
    logger.error("Request %s failed: %s %s", request_id, request.method, request.path)
    page = loader.get_template("500.html").render({"request_id": request_id})
    return HttpResponse(page, status=500)
