"""How pages answer: live fragments, silent while nothing changed; acts, which report in a toast."""

import hashlib
import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from portfolio.pages import frame as frames


def live(request: HttpRequest, *, page: str, fragment: str, shown: Any, context: dict[str, Any]) -> HttpResponse:
    """
    Answer a page, or, when asked with the version already on screen, only what changed since.

    `shown` are the plain values the fragment is made of, without ages: their digest is the version. The same
    version is answered 204, another one with the fragment alone.
    """
    frame = frames.of(request)
    version = digest((shown, [(card.id, card.state, card.state_reason) for card in frame.stopped]))
    if request.GET.get("v") == version:
        return HttpResponse(status=204)
    is_fragment = "v" in request.GET
    return render(
        request,
        fragment if is_fragment else page,
        {**context, "version": version, "is_fragment": is_fragment, "fragment": fragment},
    )


def digest(shown: Any) -> str:
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def done(request: HttpRequest, message: str, *, to: str, link: str = "") -> HttpResponse:
    """
    Report an act: a toast where the person is, or a redirect to `to` with the same sentence.

    `link` is the address of what the sentence is about.
    """
    if request.htmx:
        toast = {"message": message, "link": link}
        return HttpResponse(status=204, headers={"HX-Trigger": json.dumps({"desk:done": toast})})
    messages.success(request, message)
    return redirect(to)


def dialog(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Show a dialog's content alone to a page that opened it, and as a page of its own to everyone else."""
    layout = "portfolio/dialog.html" if request.htmx else "portfolio/dialog_page.html"
    return render(request, template, {**context, "layout": layout}, status=status)
