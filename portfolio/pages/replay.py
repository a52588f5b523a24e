"""Replay time for staff: its speed, and a jump to the next open."""

from decimal import Decimal

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from brokers.market_data import clock
from portfolio import journal
from portfolio.journal import Fact
from portfolio.pages import answers
from portfolio.pages.access import actor, signed_in

SPEEDS = (0, 1, 10, 60, 300)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def replay(request: HttpRequest) -> HttpResponse:
    """Show the clock, or move it. Real time cannot be moved, and only staff move everybody's clock."""
    if not request.user.is_staff or not clock.is_replay():
        raise Http404
    if request.method == "POST":
        try:
            return answers.done(request, move(request), to=reverse("portfolio:replay"))
        except clock.ClockRefused as error:
            return page(request, refused=str(error))
    return page(request)


def page(request: HttpRequest, *, refused: str = "") -> HttpResponse:
    status = clock.status()
    speeds = [(speed, "Pause" if speed == 0 else f"{speed}×", speed == status.speed) for speed in SPEEDS]
    context = {"speed": f"{status.speed.normalize():f}", "speeds": speeds, "refused": refused}
    return render(request, "portfolio/replay.html", context, status=422 if refused else 200)


def move(request: HttpRequest) -> str:
    """Do what the form asks, record who did it, and say what follows. Raises ClockRefused."""
    reason = f"{actor(request)} on the replay page"
    if request.POST.get("act") == "next-open":
        anchor = clock.jump("next-open", reason=reason)
        sentence = "The clock jumps to the next open in five seconds."
    else:
        wanted = request.POST.get("speed", "")
        if wanted not in map(str, SPEEDS):
            raise clock.ClockRefused(f"{wanted or 'Nothing'} is not one of the speeds offered here.")
        anchor = clock.set_speed(Decimal(wanted), reason=reason)
        sentence = f"The clock runs at speed {wanted} in five seconds." if wanted != "0" else "The clock pauses."
    with transaction.atomic():
        data = {"number": anchor.number, "virtual": anchor.virtual, "speed": anchor.speed}
        journal.record(
            [Fact(name="clock.moved", subject="desk", user_id=None, at=clock.now(), actor=actor(request), data=data)]
        )
    return sentence
