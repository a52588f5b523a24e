"""Answers that belong to no page: a locked sign-in and a failure of the desk itself."""

import logging
import secrets
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


def _locked_until(request: HttpRequest, credentials: dict[str, Any]) -> datetime:
    """Return the end of the lock, in real time: sign-in never follows replay time."""
    names = [credentials.get("username"), credentials.get("email"), request.POST.get("username")]
    last = AccessAttempt.objects.filter(username__in=[name for name in names if name]).aggregate(
        last=Max("attempt_time")
    )["last"]
    return (last or clock.real_now()) + settings.AXES_COOLOFF_TIME


def failed(request: HttpRequest) -> HttpResponse:
    """Answer an error of the desk with an id that stands in the log beside the traceback."""
    request_id = secrets.token_hex(4)
    logger.error("Request %s failed: %s %s", request_id, request.method, request.path)
    page = loader.get_template("500.html").render({"request_id": request_id})
    return HttpResponse(page, status=500)
