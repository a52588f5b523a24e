"""What stands around every page: environment, market clock, portfolio switcher, trading state."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from brokers.market_data import calendar, clock
from portfolio import queries
from portfolio.enums import TradingState

EXCHANGE_ZONE = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketClock:
    """The desk's time with its speed (1 in real time, 0 paused), and the market's phase in words."""

    now: datetime
    speed: Decimal
    label: str
    phase_words: str

    @property
    def is_paused(self) -> bool:
        return self.speed == 0

    @property
    def epoch_ms(self) -> int:
        return int(self.now.timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The frame of one answer; `zone` is the reader's."""

    clock: MarketClock
    zone: ZoneInfo
    portfolios: tuple[queries.PortfolioCard, ...]

    @property
    def now(self) -> datetime:
        return self.clock.now

    @property
    def open_portfolios(self) -> list[queries.PortfolioCard]:
        return [card for card in self.portfolios if not card.is_archived]

    @property
    def archived(self) -> list[queries.PortfolioCard]:
        return [card for card in self.portfolios if card.is_archived]

    @property
    def environment(self) -> str:
        """PAPER or LIVE when every portfolio is, MIXED when they differ, empty without any."""
        found = {card.environment for card in self.open_portfolios}
        return "MIXED" if len(found) > 1 else next(iter(found), "")

    @property
    def stopped(self) -> list[queries.PortfolioCard]:
        return [card for card in self.open_portfolios if card.state != TradingState.ACTIVE]

    @property
    def day(self) -> str:
        """Name the day that results are of: today, or the last session on a day without one."""
        day = queries.session_day(self.now)
        return "Today" if day == calendar.new_york_date(self.now) else f"{day:%a %b} {day.day}"

    def card(self, portfolio_id: int) -> queries.PortfolioCard:
        return next(card for card in self.portfolios if card.id == portfolio_id)


def context(request: HttpRequest) -> dict[str, Any]:
    """Give templates the frame of a signed-in user; nothing is read before a template asks for it."""
    return {"frame": SimpleLazyObject(lambda: of(request))}


def of(request: HttpRequest) -> Frame | None:
    """Return the frame of this request, read once; None while nobody is signed in."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return None
    if not hasattr(request, "desk_frame"):
        request.desk_frame = read(request.user)
    return request.desk_frame


def renew(request: HttpRequest) -> Frame:
    """Read the frame again after something was changed in this request."""
    request.desk_frame = read(request.user)
    return request.desk_frame


def read(user: Any) -> Frame:
    market = market_clock()
    return Frame(clock=market, zone=zone_of(user), portfolios=queries.cards(user, now=market.now))


def market_clock() -> MarketClock:
    status = clock.status()
    return MarketClock(
        now=status.now,
        speed=status.speed,
        label=status.label,
        phase_words=phase_words(status.now),
    )


def zone_of(user: Any) -> ZoneInfo:
    """Return the user's zone; one that the machine does not know is replaced by the exchange's."""
    try:
        return ZoneInfo(user.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return EXCHANGE_ZONE


def phase_words(now: datetime) -> str:
    """Say where the trading day stands: “open, closes in 42 min”, “closed until Mon 09:30 EST”."""
    coming = calendar.current_or_next_session(now)
    phase = calendar.phase(now)
    if phase in (calendar.Phase.OPEN, calendar.Phase.CLOSING):
        early = f", early close {_time(coming.close)}" if coming.is_half_day else ""
        return f"open, closes in {_left(coming.close, now)}{early}"
    if phase is calendar.Phase.PRE_OPEN:
        return f"pre-market, opens in {_left(coming.open, now)}"
    after = "after hours, " if calendar.is_extended_hours(now) else ""
    return f"{after}closed until {coming.open.astimezone(EXCHANGE_ZONE):%a} {_time(coming.open)}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(EXCHANGE_ZONE):%H:%M %Z}"


def _left(end: datetime, now: datetime) -> str:
    minutes = -int(-(end - now).total_seconds() // 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
