"""Open positions, by idea and by instrument, with the age and state of each mark."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Q, QuerySet, Sum

from brokers import money
from brokers.enums import PriceSource
from brokers.market_data import prices
from portfolio.accounting.valuation import market_value
from portfolio.enums import TradeStatus
from portfolio.models import Lot, Order, Position, Trade, TradeLeg, User
from portfolio.models.order import FINAL

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """
    What an instrument is valued with; `value` is None when there is no price, and `reason` says why.

    `is_from_close` marks the last price of a session, which serves until the next open and does not age.
    """

    value: Decimal | None
    basis: str
    as_of: datetime | None
    reason: str
    is_stale: bool
    is_from_close: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """
    One open or closing trade. Quantities are signed; money is None without a mark.

    `entry` is the average price of the shares still held, `progress` what the working exit has done so far.
    """

    id: int
    version: int
    portfolio_id: int
    symbol: str
    name: str
    quantity: Decimal
    entry: Decimal | None
    mark: Mark
    market_value: Decimal | None
    unrealized: Decimal | None
    unrealized_fraction: Decimal | None
    opened_at: datetime
    origin: str
    status: str
    progress: str

    @property
    def is_closing(self) -> bool:
        return self.status == TradeStatus.CLOSING


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentRow:
    """The net holding of one instrument. Quantities are signed; money is None without a mark."""

    id: int
    symbol: str
    name: str
    quantity: Decimal
    entry: Decimal | None
    mark: Mark
    market_value: Decimal | None
    unrealized: Decimal | None
    unrealized_fraction: Decimal | None
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPositions:
    """The rows of the page and their sums over the priced ones; `unpriced` counts the rest."""

    rows: tuple[TradeRow, ...] | tuple[InstrumentRow, ...]
    market_value: Decimal
    unrealized: Decimal
    unpriced: int
    stale: int


def positions_by_trade(user: User, portfolio_id: int, *, now: datetime) -> OpenPositions:
    """Return one row a trade, by symbol and age. Four queries."""
    return _summed(_trade_rows(user, TradeLeg.objects.filter(trade__portfolio_id=portfolio_id), now=now))


def trade_row(user: User, trade_id: int, *, now: datetime) -> TradeRow | None:
    """Return one trade of the user as its row shows it; None when it holds nothing any more."""
    rows = _trade_rows(user, TradeLeg.objects.filter(trade_id=trade_id), now=now)
    return rows[0] if rows else None


def positions_by_instrument(user: User, portfolio_id: int, *, now: datetime) -> OpenPositions:
    """Return one row an instrument held, by symbol. Two queries."""
    held = (
        Position.objects.for_user(user)
        .filter(portfolio_id=portfolio_id)
        .exclude(quantity=0)
        .select_related("instrument")
        .order_by("instrument__symbol", "pk")
    )
    trades = dict(
        TradeLeg.objects.for_user(user)
        .filter(trade__portfolio_id=portfolio_id)
        .exclude(open_quantity=0)
        .order_by()
        .values_list("instrument_id")
        .annotate(Count("pk"))
    )
    return _summed([_instrument_row(row, trades=trades.get(row.instrument_id, 0), now=now) for row in held])


# ------------------------------------------------------------------ rows


def _trade_rows(user: User, legs: QuerySet[TradeLeg], *, now: datetime) -> list[TradeRow]:
    held = list(
        legs.for_user(user)
        .exclude(open_quantity=0)
        .exclude(trade__status=TradeStatus.CLOSED)
        .select_related("trade", "instrument")
        .order_by("trade__symbol", "trade_id", "pk")
    )
    marks = _positions(user, held)
    costs = _costs(user, held)
    exits = _exits(user, held)
    return [
        _trade_row(
            leg,
            position=marks.get((leg.trade.portfolio_id, leg.instrument_id)),
            cost=costs.get(leg.pk),
            exit_order=exits.get(leg.trade_id),
            now=now,
        )
        for leg in held
    ]


def _positions(user: User, legs: list[TradeLeg]) -> dict[tuple[int, int], Position]:
    rows = Position.objects.for_user(user).filter(
        portfolio_id__in={leg.trade.portfolio_id for leg in legs},
        instrument_id__in={leg.instrument_id for leg in legs},
    )
    return {(row.portfolio_id, row.instrument_id): row for row in rows}


def _costs(user: User, legs: list[TradeLeg]) -> dict[int, Decimal]:
    return dict(
        Lot.objects.for_user(user)
        .filter(trade_leg__in=[leg.pk for leg in legs])
        .exclude(remaining=0)
        .order_by()
        .values_list("trade_leg_id")
        .annotate(Sum("cost"))
    )


def _exits(user: User, legs: list[TradeLeg]) -> dict[int, Order]:
    rows = Order.objects.for_user(user).filter(~Q(status__in=FINAL), trade_id__in={leg.trade_id for leg in legs})
    return {row.trade_id: row for row in rows.order_by("pk")}


def _trade_row(
    leg: TradeLeg, *, position: Position | None, cost: Decimal | None, exit_order: Order | None, now: datetime
) -> TradeRow:
    mark = _mark(position, now=now)
    value = _value(mark.value, leg)
    unrealized = value - cost if value is not None and cost is not None else None
    return TradeRow(
        id=leg.trade_id,
        version=leg.trade.version,
        portfolio_id=leg.trade.portfolio_id,
        symbol=leg.instrument.symbol,
        name=leg.instrument.listed_name,
        quantity=leg.open_quantity,
        entry=cost / leg.open_quantity / leg.instrument.multiplier if cost is not None else leg.average_entry,
        mark=mark,
        market_value=value,
        unrealized=unrealized,
        unrealized_fraction=unrealized / abs(cost) if unrealized is not None and cost else None,
        opened_at=leg.trade.opened_at,
        origin=leg.trade.origin,
        status=leg.trade.status,
        progress=_progress(leg.trade, exit_order),
    )


def _instrument_row(row: Position, *, trades: int, now: datetime) -> InstrumentRow:
    return InstrumentRow(
        id=row.instrument_id,
        symbol=row.instrument.symbol,
        name=row.instrument.listed_name,
        quantity=row.quantity,
        entry=row.average_cost,
        mark=_mark(row, now=now),
        market_value=row.market_value,
        unrealized=row.unrealized_pnl,
        unrealized_fraction=(
            row.unrealized_pnl / abs(row.cost) if row.unrealized_pnl is not None and row.cost else None
        ),
        trades=trades,
    )


def _progress(trade: Trade, exit_order: Order | None) -> str:
    if trade.status != TradeStatus.CLOSING:
        return ""
    if exit_order is None or exit_order.quantity is None:
        return "closing"
    done, asked = exit_order.filled_quantity.normalize(), exit_order.quantity.normalize()
    return f"closing: {done:f} of {asked:f} filled"


def _value(mark: Decimal | None, leg: TradeLeg) -> Decimal | None:
    if mark is None:
        return None
    return money.money_value(
        market_value(
            price=money.money_units(mark),
            quantity=money.quantity_units(leg.open_quantity),
            multiplier=leg.instrument.multiplier,
        )
    )


# ------------------------------------------------------------------ marks


def _mark(position: Position | None, *, now: datetime) -> Mark:
    if position is None or position.mark is None:
        return Mark(
            value=None,
            basis="",
            as_of=position.mark_as_of if position else None,
            reason=(position.mark_reason if position else "") or "It has not been priced yet.",
            is_stale=False,
            is_from_close=False,
        )
    hours = prices.Hours.at(now)
    why_old = _why_old(position, hours=hours, now=now)
    return Mark(
        value=position.mark,
        basis=position.mark_source,
        as_of=position.mark_as_of,
        reason=why_old or position.mark_reason,
        is_stale=bool(why_old),
        is_from_close=not why_old and not hours.is_regular,
    )


def _why_old(position: Position, *, hours: prices.Hours, now: datetime) -> str:
    if not position.mark_source or position.mark_as_of is None:
        return "The source of this price is not known."
    why = hours.why_not_fresh(PriceSource(position.mark_source), position.mark_as_of, now)
    return f"The price {why}." if why else ""


def _summed(rows: Iterable[TradeRow] | Iterable[InstrumentRow]) -> OpenPositions:
    kept = tuple(rows)
    return OpenPositions(
        rows=kept,
        market_value=sum((row.market_value for row in kept if row.market_value is not None), ZERO),
        unrealized=sum((row.unrealized for row in kept if row.unrealized is not None), ZERO),
        unpriced=sum(row.mark.value is None for row in kept),
        stale=sum(row.mark.is_stale for row in kept),
    )
