"""Splits, dividends and other events of instruments: what is effective when, and the daily top-up."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from brokers import money
from brokers.enums import CorporateActionKind, CorporateActionState, ImportState, Timeframe
from brokers.market_data import calendar, sources
from brokers.market_data.listings import tradable_shares
from brokers.market_data.replay.market import MarketEvent
from brokers.models import CorporateAction, ImportRun

TOP_UP = "corporate actions"
BATCH_ROWS = 5_000


def effective(instrument_ids: Iterable[int], *, after: datetime.date, until: datetime.date) -> list[CorporateAction]:
    """
    Return what takes effect with after < ex-date <= until, oldest first, a split before a dividend of a day.

    Unclassified steps are left out: they change adjusted series, and positions only when staff say how. Of
    the invented and the imported market only the one that is shown counts.
    """
    is_synthetic = sources.source_name() == sources.SYNTHETIC
    found = CorporateAction.objects.filter(
        Q(source=sources.SYNTHETIC) if is_synthetic else ~Q(source=sources.SYNTHETIC),
        instrument__in=list(instrument_ids),
        ex_date__gt=after,
        ex_date__lte=until,
    ).exclude(Q(kind=CorporateActionKind.UNCLASSIFIED) | Q(state=CorporateActionState.WITHDRAWN))
    return sorted(
        found.select_related("instrument"),
        key=lambda action: (action.ex_date, action.kind != CorporateActionKind.SPLIT, action.pk),
    )


def announced_until(now: datetime.datetime) -> datetime.date:
    """Return the last ex-date that is public: from each close on that of the next session."""
    session = calendar.latest_open(now)
    return calendar.next_session(session.date).date if now >= session.close else session.date


def effective_until(now: datetime.datetime) -> datetime.date:
    """Return the last ex-date in force: events take effect when extended hours begin, 04:00 New York."""
    today = calendar.new_york_date(now)
    session = calendar.session(today)
    return today - datetime.timedelta(days=1) if session and now < session.pre_open_start else today


def top_up(*, now: datetime.datetime) -> int:
    """
    Store the events that became public since the last session and return how many are new.

    Run it at the start of every tick: from the second time in a session it costs one query. Events of
    imported bars are stored by their import. Either way those whose day has come are marked effective.
    """
    source, public, in_force = sources.source_name(), announced_until(now), effective_until(now)
    mark = hashlib.sha256(f"{sources.replay_market().identity}|{public}|{in_force}".encode()).hexdigest()
    if ImportRun.objects.filter(kind=TOP_UP, sha256=mark, state=ImportState.DONE).exists():
        return 0
    with transaction.atomic():
        new = _new_actions(public) if source == sources.SYNTHETIC else []
        CorporateAction.objects.bulk_create(new, batch_size=BATCH_ROWS, ignore_conflicts=True)
        CorporateAction.objects.filter(state=CorporateActionState.ANNOUNCED, ex_date__lte=in_force).update(
            state=CorporateActionState.EFFECTIVE
        )
        ImportRun.objects.create(
            kind=TOP_UP,
            file_name=f"events up to {public}",
            sha256=mark,
            source=source,
            timeframe=Timeframe.DAY,
            state=ImportState.DONE,
            events_inserted=len(new),
            finished_at=Now(),
        )
    return len(new)


def _new_actions(public: datetime.date) -> list[CorporateAction]:
    market = sources.replay_market()
    instruments = tradable_shares(market.symbols)
    known = set(CorporateAction.objects.filter(source=sources.SYNTHETIC).values_list("event_id", flat=True))
    return [
        _action(event, instruments[event.symbol].pk)
        for symbol in instruments
        for event in market.events(symbol, until_ordinal=sources.to_ordinal(public))
        if event.event_id not in known
    ]


def _action(event: MarketEvent, instrument_id: int) -> CorporateAction:
    return CorporateAction(
        source=sources.SYNTHETIC,
        event_id=event.event_id,
        instrument_id=instrument_id,
        kind=event.kind,
        ex_date=sources.to_date(event.ex_ordinal),
        record_date=sources.to_date(event.record_ordinal),
        pay_date=sources.to_date(event.pay_ordinal),
        ratio_from=event.ratio_from,
        ratio_to=event.ratio_to,
        cash_per_share=money.money_value(event.cash_units) if event.kind == "DIVIDEND" else None,
    )
