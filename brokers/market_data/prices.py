"""
What an instrument is worth now: quote, then last trade, then bar, each only while fresh and past the gate.

One call asks for all symbols at once and leaves one `LatestPrice` row an instrument: the cache that pages,
marks and the simulated venue read.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from brokers import money
from brokers.enums import InstrumentKind, PriceSource
from brokers.market_data import calendar, gate, price_rows
from brokers.market_data.feeds import Feed, QuoteLook, ReplayFeed, SymbolNotQuoted, TradeLook
from brokers.market_data.gate import EffectiveEvent, GateContext, GateOutcome, GateResult, Reading
from brokers.market_data.listings import tradable
from brokers.models import Instrument, LatestPrice

# How old a price may be in regular hours, in seconds of the desk's clock; exactly the limit is fresh.
FRESH_SECONDS = {PriceSource.QUOTE: 120, PriceSource.TRADE: 300, PriceSource.MINUTE_BAR: 180}
# Outside regular hours a price must come from the last minutes of the session before.
CLOSING_WINDOW = datetime.timedelta(minutes=5)

_DAY = datetime.timedelta(days=1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_PRICE_STEP = Decimal(1).scaleb(-money.MONEY_SCALE)
_NAMES = {
    PriceSource.QUOTE: "quote",
    PriceSource.TRADE: "last trade",
    PriceSource.MINUTE_BAR: "minute bar",
    PriceSource.DAILY_BAR: "daily bar",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """
    What one unit is worth, and how that is known.

    `value` has at most six decimals: the middle of a quote, where a half of the last one is rounded up, or
    the last print. Both sides are None unless the source is a quote. `is_stale` is only ever true of a stored
    price; `is_previous_close` marks a close that stands in until the next open.
    """

    symbol: str
    instrument_id: int
    value: Decimal
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int
    ask_size: int
    last: Decimal | None
    source: PriceSource
    as_of: datetime.datetime
    age_seconds: Decimal
    is_stale: bool
    is_previous_close: bool
    tried: tuple[str, ...] = ()


class PriceUnavailable(LookupError):
    """A symbol has no usable price; `tried` says why each source was passed over."""

    def __init__(self, symbol: str, tried: tuple[str, ...]) -> None:
        super().__init__(symbol, tried)
        self.symbol = symbol
        self.tried = tried

    def __str__(self) -> str:
        return f"There is no price of {self.symbol}. {' '.join(self.tried)}"


Answer = Price | PriceUnavailable
Look = QuoteLook | TradeLook


def latest(
    symbols: Iterable[str],
    now: datetime.datetime,
    *,
    feed: Feed | None = None,
    unadjusted: Collection[int] = (),
) -> dict[str, Answer]:
    """
    Return each symbol's price now, or why there is none, and store what was found.

    `unadjusted` names instruments with a split or dividend today that our books have not taken in yet: they
    have no price until they have. The number of queries does not depend on the number of symbols.
    """
    wanted = dict.fromkeys(symbols)
    listed = tradable(wanted)
    source = feed or ReplayFeed()
    found: dict[str, Answer] = {}
    changed: list[LatestPrice] = []
    for symbol in wanted:
        if symbol not in listed:
            found[symbol] = _not_listed(symbol)
            continue
        question = _Question(listed[symbol], now, source, is_adjusted=listed[symbol].pk not in unadjusted)
        found[symbol] = question.answer()
        if question.changed_row is not None:
            changed.append(question.changed_row)
    if changed:
        price_rows.store(changed)
    return found


def stored(wanted: Iterable[str] | Iterable[int], now: datetime.datetime) -> dict[Any, Answer]:
    """
    Return the cached prices of symbols, or of instrument ids, asking no source and writing nothing.

    One that is too old for its source comes back with `is_stale`; one in quarantine is unavailable.
    """
    keys = list(dict.fromkeys(wanted))
    identifiers = [key for key in keys if isinstance(key, int)]
    rows: dict[Any, Instrument] = price_rows.by_id(identifiers) if identifiers else {}
    if len(identifiers) < len(keys):
        rows |= tradable(key for key in keys if isinstance(key, str))
    return {key: _from_cache(rows[key], now) if key in rows else _not_listed(key) for key in keys}


def _not_listed(key: str | int) -> PriceUnavailable:
    return PriceUnavailable(str(key), (f"{key} is not listed at this desk.",))


# ------------------------------------------------------------------ when a price counts


@dataclass(frozen=True, slots=True)
class Hours:
    """Where now stands: in a session, or after the last one that opened."""

    session: calendar.Session
    is_regular: bool

    @classmethod
    def at(cls, now: datetime.datetime) -> Hours:
        current = calendar.session_at(now)
        return cls(current or calendar.latest_open(now), current is not None)

    def why_not_fresh(self, source: PriceSource, as_of: datetime.datetime, now: datetime.datetime) -> str:
        """Return an empty text for a fresh price, else what is wrong with its age."""
        if self.is_regular:
            limit = FRESH_SECONDS.get(source)
            if limit is None:
                return "is the last close, which does not count while the market is open"
            age = (now - as_of).total_seconds()
            return "" if age <= limit else f"is {age:.0f} s old, more than {limit} s"
        if source is PriceSource.DAILY_BAR or as_of >= self.session.close - CLOSING_WINDOW:
            return ""
        return f"of {as_of:%Y-%m-%d %H:%M} UTC is not from the last five minutes of the session"


# ------------------------------------------------------------------ one symbol


class _NoMark(Exception):
    """The gate found that no source may price this instrument now; the reason is among those tried."""


@dataclass(slots=True)
class _Question:
    """What one instrument is worth, asked of one feed at one instant; `changed_row` is what to store."""

    instrument: Instrument
    now: datetime.datetime
    feed: Feed
    is_adjusted: bool
    tried: list[str] = field(default_factory=list)
    changed_row: LatestPrice | None = None

    def answer(self) -> Answer:
        hours = Hours.at(self.now)
        # After the close nothing newer than the close counts, so that is the instant to ask about.
        at = self.now if hours.is_regular else hours.session.close
        try:
            context = self._context()
            for source, look in self._looks(at):
                price = self._judged(source, look, hours, context)
                if price is not None:
                    return price
        except SymbolNotQuoted as error:
            self.tried.append(str(error))
        except _NoMark:
            return self._unavailable()
        return self._unavailable()

    def _unavailable(self) -> PriceUnavailable:
        return PriceUnavailable(self.instrument.symbol, tuple(self.tried))

    def _looks(self, at: datetime.datetime) -> Iterator[tuple[PriceSource, Look | None]]:
        """Ask source after source; the later ones cost more and are asked only when needed."""
        symbol = self.instrument.symbol
        yield PriceSource.QUOTE, self.feed.quote(symbol, at=at)
        yield PriceSource.TRADE, self.feed.trade(symbol, at=at)
        yield PriceSource.MINUTE_BAR, self.feed.minute_bar(symbol, at=at)
        yield PriceSource.DAILY_BAR, self.feed.daily_bar(symbol, at=at)

    def _judged(self, source: PriceSource, look: Look | None, hours: Hours, context: GateContext) -> Price | None:
        """Return the price a look stands for; None to ask the next source."""
        if look is None:
            self.tried.append(f"No {_NAMES[source]}.")
            return None
        problem = hours.why_not_fresh(source, look.as_of, self.now)
        if problem:
            self.tried.append(f"The {_NAMES[source]} {problem}.")
            return None
        look = look if hours.is_regular else self._on_todays_basis(look)
        result = gate.judge(self._received(look), context=context)
        if result.reason:
            self.tried.append(result.reason)
        if result.outcome is GateOutcome.ACCEPTED:
            return self._accepted(source, look, result)
        if result.outcome is GateOutcome.QUARANTINED:
            self._quarantine(result)
        if result.outcome is GateOutcome.QUARANTINED or result.code == "adjustment_missing":
            raise _NoMark
        return None

    def _received(self, look: Look) -> gate.ReceivedQuote | gate.ReceivedTrade:
        if isinstance(look, QuoteLook):
            return gate.ReceivedQuote(source=self.feed.name, as_of=look.as_of, bid=look.bid, ask=look.ask)
        return gate.ReceivedTrade(source=self.feed.name, as_of=look.as_of, price=look.price)

    def _accepted(self, source: PriceSource, look: Look, result: GateResult) -> Price:
        is_quote = isinstance(look, QuoteLook)
        price = Price(
            symbol=self.instrument.symbol,
            instrument_id=self.instrument.pk,
            value=result.price.quantize(_PRICE_STEP, ROUND_HALF_UP),
            bid=look.bid if is_quote else None,
            ask=look.ask if is_quote else None,
            bid_size=look.bid_size if is_quote else 0,
            ask_size=look.ask_size if is_quote else 0,
            last=look.last if is_quote else look.price,
            source=source,
            as_of=look.as_of,
            age_seconds=_age(look.as_of, self.now),
            is_stale=False,
            is_previous_close=source is PriceSource.DAILY_BAR,
            tried=tuple(self.tried),
        )
        if not price_rows.is_same(price_rows.cached(self.instrument), price):
            day = self.feed.day(self.instrument.symbol, at=price.as_of)
            self.changed_row = price_rows.accepted_row(price, feed=self.feed.name, day=day, now=self.now)
        return price

    def _quarantine(self, result: GateResult) -> None:
        """Keep the unconfirmed reading beside the last accepted price, which stays what it was."""
        kept, row = result.quarantined, price_rows.cached(self.instrument)
        if row is None or kept is None or price_rows.quarantined(row) == kept:
            return
        row.quarantined_price = kept.price.quantize(_PRICE_STEP, ROUND_HALF_UP)
        row.quarantined_at, row.quarantined_source = kept.as_of, kept.source
        row.updated_at = self.now
        self.changed_row = row

    # ---------------------------------------------------------------- splits and dividends

    def _context(self) -> GateContext:
        row = price_rows.cached(self.instrument)
        accepted = price_rows.accepted(row)
        return GateContext(
            symbol=self.instrument.symbol,
            kind=InstrumentKind(self.instrument.kind),
            now=self.now,
            accepted=accepted,
            quarantined=price_rows.quarantined(row),
            event=self._event_since(accepted),
        )

    def _event_since(self, accepted: Reading | None) -> EffectiveEvent | None:
        """Return what changed the basis of prices since the last accepted one, today's events in any case."""
        since = calendar.new_york_date(self.now) - _DAY
        if accepted is not None:
            since = min(since, calendar.new_york_date(accepted.as_of))
        return self._event_after(since)

    def _event_after(self, day: datetime.date) -> EffectiveEvent | None:
        """
        Return all splits and dividends in force whose ex-date is after a day, as one event.

        They take effect when extended hours begin, 04:00 New York, as the simulated venue books them.
        """
        today = calendar.new_york_date(self.now)
        session = calendar.session(today)
        if session is not None and self.now < session.pre_open_start:
            today -= _DAY
        events = self.feed.events(self.instrument.symbol, after=day, until=today)
        if not events:
            return None
        ratio, cash = Fraction(1), Fraction(0)
        for event in events:
            ratio *= event.split
            cash = cash / event.split + Fraction(event.dividend)
        return EffectiveEvent(
            effective_at=calendar.next_session(events[-1].ex_date - _DAY).pre_open_start,
            is_applied=self.is_adjusted,
            split_ratio=ratio,
            dividend=Decimal(cash.numerator) / Decimal(cash.denominator),
        )

    def _on_todays_basis(self, look: Look) -> Look:
        """Restate a price of the last session after a split or dividend; it counts from that instant on."""
        event = self._event_after(calendar.new_york_date(look.as_of))
        if event is None:
            return look
        names = ("bid", "ask", "last") if isinstance(look, QuoteLook) else ("price",)
        restated = {name: _restated(getattr(look, name), look.as_of, event) for name in names}
        self.tried.append(f"The price of {look.as_of:%Y-%m-%d} is restated for a split or dividend since.")
        return replace(look, as_of=event.effective_at, **restated)


def _restated(price: Decimal | None, as_of: datetime.datetime, event: EffectiveEvent) -> Decimal | None:
    if price is None:
        return None
    return gate.adjusted_previous(price, as_of=as_of, event=event).quantize(_PRICE_STEP, ROUND_HALF_UP)


def _age(as_of: datetime.datetime, now: datetime.datetime) -> Decimal:
    return Decimal(max(0, (now - as_of) // _MICROSECOND)).scaleb(-6)


def _from_cache(instrument: Instrument, now: datetime.datetime) -> Answer:
    row = price_rows.cached(instrument)
    if row is None:
        return PriceUnavailable(instrument.symbol, ("It has not been priced yet.",))
    if row.quarantined_price is not None:
        reason = f"Its jump to {row.quarantined_price:f} is not confirmed yet."
        return PriceUnavailable(instrument.symbol, (reason,))
    source, reading = price_rows.source_of(row), price_rows.accepted(row)
    return Price(
        symbol=instrument.symbol,
        instrument_id=instrument.pk,
        value=reading.price.quantize(_PRICE_STEP, ROUND_HALF_UP),
        bid=row.bid,
        ask=row.ask,
        bid_size=row.bid_size,
        ask_size=row.ask_size,
        last=row.last,
        source=source,
        as_of=reading.as_of,
        age_seconds=_age(reading.as_of, now),
        is_stale=bool(Hours.at(now).why_not_fresh(source, reading.as_of, now)),
        is_previous_close=source is PriceSource.DAILY_BAR,
    )
