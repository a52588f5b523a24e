"""Where portfolios stand when an order is judged: equity, holdings, today's trades. Read set-wise."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal

from django.db.models import OuterRef, Subquery, Sum

from brokers.enums import FINAL_STATUSES, InstrumentKind, OrderStatus, OrderType, Side
from brokers.market_data import calendar
from brokers.models import Instrument
from portfolio.enums import LedgerAccount, LedgerKind, OrderRole, TradeStatus
from portfolio.models import LedgerPosting, Order, OrderLeg, Portfolio, Position, RiskLimits, Snapshot, Trade
from portfolio.risk.limits import Limits

OWN_PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.STOP)
LIMIT_FIELDS = (
    "position_percent", "symbol_warn_percent", "sector_percent", "trades_per_day", "halt_equity_percent",
    "daily_loss", "order_value_max",
)  # fmt: skip


@dataclass(slots=True)
class OpenHolding:
    """An open trade of one instrument: signed quantity, and whether an exit of it is already live."""

    trade: Trade
    quantity: Decimal
    live_exit: Order | None = None


@dataclass(slots=True)
class Standing:
    """One portfolio's facts. `equity` is None while a held position has no mark."""

    portfolio: Portfolio
    limits: Limits
    equity: Decimal | None
    put_in: Decimal = Decimal(0)
    day_pnl: Decimal | None = None
    trades_today: int = 0
    symbol_values: dict[int, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    sector_values: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    holdings: dict[int, list[OpenHolding]] = field(default_factory=lambda: defaultdict(list))


def of(portfolios: Collection[Portfolio], *, now: datetime) -> dict[int, Standing]:
    """Read the standing of each portfolio, by id, in a fixed number of queries."""
    ids = [portfolio.pk for portfolio in portfolios]
    limits = {row.portfolio_id: row for row in RiskLimits.objects.filter(portfolio_id__in=ids)}
    result = {
        portfolio.pk: Standing(portfolio, limits_of(limits.get(portfolio.pk)), portfolio.cash + portfolio.receivable)
        for portfolio in portfolios
    }
    add_positions(result)
    add_contributions(result)
    add_entries(result, now=now)
    add_holdings(result)
    if any(standing.limits.daily_loss is not None for standing in result.values()):
        add_day_pnl(result, now=now)
    return result


def limits_of(row: RiskLimits | None) -> Limits:
    return Limits() if row is None else Limits(**{name: getattr(row, name) for name in LIMIT_FIELDS})


def add_positions(standings: dict[int, Standing]) -> None:
    rows = Position.objects.filter(portfolio_id__in=list(standings)).exclude(quantity=0)
    for row in rows.select_related("instrument"):
        standing = standings[row.portfolio_id]
        if row.market_value is None:
            standing.equity = None
        elif standing.equity is not None:
            standing.equity += row.market_value
        worth = abs(row.cost if row.market_value is None else row.market_value)
        standing.symbol_values[row.instrument_id] += worth
        standing.sector_values[sector_of(row.instrument)] += worth


def add_contributions(standings: dict[int, Standing]) -> None:
    rows = (
        LedgerPosting.objects.filter(
            transaction__portfolio_id__in=list(standings),
            transaction__kind__in=(LedgerKind.DEPOSIT, LedgerKind.WITHDRAWAL),
            account=LedgerAccount.CONTRIBUTIONS,
        )
        .values_list("transaction__portfolio_id")
        .annotate(total=Sum("amount"))
    )
    for portfolio_id, total in rows:
        standings[portfolio_id].put_in = -total


def add_entries(standings: dict[int, Standing], *, now: datetime) -> None:
    """Count today's entries, and add what working ones would still buy to the symbol and sector values."""
    rows = OrderLeg.objects.filter(order__portfolio_id__in=list(standings), order__role=OrderRole.ENTRY).select_related(
        "order", "instrument"
    )
    start = day_start(now)
    for leg in rows.filter(order__submitted_at__gte=start).exclude(
        order__status__in=(OrderStatus.DENIED, OrderStatus.REJECTED)
    ):
        if leg.order.filled_quantity or not leg.order.is_final:
            standings[leg.order.portfolio_id].trades_today += 1
    for leg in rows.exclude(order__status__in=FINAL_STATUSES):
        standing, worth = standings[leg.order.portfolio_id], outstanding(leg)
        standing.symbol_values[leg.instrument_id] += worth
        standing.sector_values[sector_of(leg.instrument)] += worth


def sector_of(instrument: Instrument) -> str:
    """The sector that limits count; a fund is a basket, not a bet on one sector."""
    return instrument.sector if instrument.kind == InstrumentKind.EQUITY else ""


def add_accepted(standing: Standing, order: Order, leg: OrderLeg) -> None:
    """Count an order that was just accepted, so that the next one of the same request finds it here."""
    if order.role != OrderRole.ENTRY:
        for holding in standing.holdings[leg.instrument_id]:
            if holding.trade.pk == order.trade_id:
                holding.live_exit = order
        return
    worth = outstanding(leg)
    standing.trades_today += 1
    standing.symbol_values[leg.instrument_id] += worth
    standing.sector_values[sector_of(leg.instrument)] += worth


def outstanding(leg: OrderLeg) -> Decimal:
    """
    What the unfilled rest of an entry is worth at the price it was judged at, in money.

    A reverse split raises an order's own level above that price; then the level counts.
    """
    order = leg.order
    price = max(order.judged_price or Decimal(0), order.limit_price or order.stop_price or Decimal(0))
    if order.quantity is None:
        return max((order.notional or Decimal(0)) - order.filled_quantity * price, Decimal(0))
    return (order.quantity - order.filled_quantity) * price * leg.instrument.multiplier


def add_holdings(standings: dict[int, Standing]) -> None:
    trades = (
        Trade.objects.filter(portfolio_id__in=list(standings))
        .exclude(status=TradeStatus.CLOSED)
        .prefetch_related("legs")
        .order_by("opened_at", "pk")
    )
    live = (
        Order.objects.filter(trade__in=trades, role=OrderRole.EXIT)
        .exclude(status__in=FINAL_STATUSES)
        .in_bulk(field_name="pk")
    )
    exits = {order.trade_id: order for order in live.values()}
    for trade in trades:
        for leg in trade.legs.all():
            if leg.open_quantity:
                standings[trade.portfolio_id].holdings[leg.instrument_id].append(
                    OpenHolding(trade, leg.open_quantity, exits.get(trade.pk))
                )


def add_day_pnl(standings: dict[int, Standing], *, now: datetime) -> None:
    """Equity now less the newest snapshot before today, net of flows."""
    newest = Snapshot.objects.filter(portfolio=OuterRef("pk"), at__lt=day_start(now), complete=True).order_by("-at")
    keys = Portfolio.objects.filter(pk__in=list(standings)).values_list(Subquery(newest.values("pk")[:1]))
    rows = Snapshot.objects.filter(pk__in=keys).values_list("portfolio_id", "equity", "flows")
    before = {key: equity - flows for key, equity, flows in rows if equity is not None}
    for key, standing in standings.items():
        if standing.equity is not None:
            standing.day_pnl = standing.equity - standing.put_in - before.get(key, Decimal(0))


def day_start(now: datetime) -> datetime:
    """Midnight in New York of the day that `now` falls on, in UTC."""
    local = calendar.new_york(now)
    return datetime.combine(local.date(), time(0), tzinfo=local.tzinfo).astimezone(UTC)


def estimated_price(
    *,
    order_type: OrderType,
    side: Side,
    limit_price: Decimal | None,
    stop_price: Decimal | None,
    market_price: Decimal | None,
) -> Decimal | None:
    """
    The price an order is judged at: the worst it may fill at, as far as that can be known now.

    Only a buy limit bounds what is paid; every other level may be passed at once, so the market counts too
    where it is higher, and without a market price there is no answer.
    """
    own = stop_price if order_type is OrderType.STOP else limit_price
    if own is None or order_type not in OWN_PRICED:
        return market_price
    if side is Side.BUY and order_type is not OrderType.STOP:
        return own
    return None if market_price is None else max(own, market_price)
