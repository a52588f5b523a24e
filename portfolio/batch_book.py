"""The book of a batch of portfolios in memory: loaded set-wise, changed on integers, written in bulk."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import BigIntegerField, ExpressionWrapper, F, QuerySet

from brokers.batch_rows import insert_rows, insert_units, update_rows, update_units
from brokers.market_data.listings import tradable
from brokers.models import Instrument
from brokers.money import divide_half_away, money_units, money_value, quantity_units, quantity_value
from portfolio.accounting.lots import LotUnits
from portfolio.accounting.valuation import average_price, market_value
from portfolio.enums import POOLED_ORIGINS, TradeStatus
from portfolio.models import Fill, Lot, Portfolio, Position, Trade, TradeLeg


@dataclass(slots=True)
class OpenLot:
    """A lot's numbers as units; a new one has no key yet, but the fill that opened it."""

    units: LotUnits
    opened_at: datetime
    pk: int | None = None
    opening_fill: Fill | None = None
    is_changed: bool = False

    @property
    def is_new(self) -> bool:
        return self.pk is None


@dataclass(slots=True)
class OpenTrade:
    """A trade with its legs and lots; legs and lots by instrument id, oldest lot first."""

    row: Trade
    legs: dict[int, TradeLeg] = field(default_factory=dict)
    lots: dict[int, list[OpenLot]] = field(default_factory=lambda: defaultdict(list))
    is_new: bool = False
    is_changed: bool = False

    def held(self, instrument_id: int) -> int:
        return sum(lot.units.remaining for lot in self.lots[instrument_id])

    @property
    def has_ended(self) -> bool:
        """It held something once and holds nothing more."""
        return bool(self.legs) and self.is_flat

    @property
    def is_flat(self) -> bool:
        return all(lot.units.remaining == 0 for lots in self.lots.values() for lot in lots)


class BatchBook:
    """
    Open trades, lots and positions of some portfolios.

    Load it under the portfolios' row locks, change it, call `write` in the same transaction. Unloaded, it is
    the book before the first fill.
    """

    def __init__(self, portfolios: Collection[Portfolio], instruments: Iterable[Instrument]) -> None:
        self.portfolios = {portfolio.pk: portfolio for portfolio in portfolios}
        self.instruments = {row.symbol: row for row in instruments}
        self.trades: dict[int, list[OpenTrade]] = defaultdict(list)
        self.by_order: dict[int, OpenTrade] = {}
        self.positions: dict[tuple[int, int], Position] = {}
        self.position_changed: set[tuple[int, int]] = set()
        self.held_names: dict[tuple[int, str], Instrument] = {}
        self.new_fills: list[Fill] = []

    @classmethod
    def load(cls, portfolios: Collection[Portfolio], symbols: Iterable[str]) -> "BatchBook":
        """Read what these portfolios hold, and the instruments that the reports name."""
        book = cls(portfolios, named(set(symbols)))
        book.read_rows()
        return book

    def read_rows(self) -> None:
        keys = list(self.portfolios)
        by_id: dict[int, OpenTrade] = {}
        for trade in Trade.objects.filter(portfolio_id__in=keys).exclude(status=TradeStatus.CLOSED).order_by("pk"):
            by_id[trade.pk] = OpenTrade(trade)
            self.trades[trade.portfolio_id].append(by_id[trade.pk])
        legs = {leg.pk: leg for leg in open_legs(keys)}
        for leg in legs.values():
            by_id[leg.trade_id].legs[leg.instrument_id] = leg
        self.name_instruments(legs.values())
        for pk, leg_id, instrument_id, opened_at, *units in open_lots(keys):
            lot = OpenLot(LotUnits(*units), opened_at, pk)
            by_id[legs[leg_id].trade_id].lots[instrument_id].append(lot)
        for position in Position.objects.filter(portfolio_id__in=keys).select_related("instrument"):
            self.positions[position.portfolio_id, position.instrument_id] = position
            if position.quantity:
                self.held_names[position.portfolio_id, position.instrument.symbol] = position.instrument

    def instrument(self, portfolio_id: int, symbol: str) -> Instrument | None:
        """What a portfolio means by a symbol: what it holds under that name, else what is listed under it."""
        return self.held_names.get((portfolio_id, symbol)) or self.instruments.get(symbol)

    def name_instruments(self, legs: Collection[TradeLeg]) -> None:
        """Give legs their instruments at once: a trade that closes asks each leg for its multiplier."""
        known = {row.pk: row for row in self.instruments.values()}
        missing = {leg.instrument_id for leg in legs} - known.keys()
        if missing:
            known |= Instrument.objects.in_bulk(missing)
        for leg in legs:
            leg.instrument = known[leg.instrument_id]

    def position(self, portfolio: Portfolio, instrument: Instrument) -> Position:
        key = (portfolio.pk, instrument.pk)
        if key not in self.positions:
            self.positions[key] = Position(
                user_id=portfolio.user_id,
                portfolio=portfolio,
                instrument=instrument,
                mark_reason="Not marked yet.",
            )
        return self.positions[key]

    def trade(self, trade_id: int, portfolio_id: int) -> OpenTrade | None:
        return next((trade for trade in self.trades[portfolio_id] if trade.row.pk == trade_id), None)

    def pooled_trade(self, portfolio_id: int, symbol: str, origin: str) -> OpenTrade | None:
        """The one open trade of a symbol for origins that pool, or None; one that has ended is no more added to."""
        if origin not in POOLED_ORIGINS:
            return None
        named = (t for t in self.trades[portfolio_id] if t.row.symbol == symbol and t.row.origin == origin)
        return next((trade for trade in named if not trade.has_ended), None)

    def leg(self, trade: OpenTrade, instrument: Instrument) -> TradeLeg:
        if instrument.pk not in trade.legs:
            trade.legs[instrument.pk] = TradeLeg(
                user_id=trade.row.user_id, trade=trade.row, instrument=instrument, average_entry=None
            )
        return trade.legs[instrument.pk]

    def add_lot(self, trade: OpenTrade, fill: Fill, *, quantity: int, cost: int, multiplier: int) -> None:
        """Open a lot of a fill's signed quantity at its cost."""
        price = average_price(cost=cost, quantity=quantity, multiplier=multiplier)
        units = LotUnits(quantity=quantity, remaining=quantity, cost=cost, price=price)
        trade.lots[fill.instrument_id].append(OpenLot(units, fill.executed_at, opening_fill=fill))

    def move_position(
        self, portfolio: Portfolio, instrument: Instrument, *, quantity: int, cost: int, realized: int
    ) -> None:
        """
        Add signed quantity, cost and realized profit to a position, and value it at the mark it has.

        Cash changes in the same transaction: a value that stayed behind would show money twice, or not at all.
        A holding that begins has no value until it is marked.
        """
        row = self.position(portfolio, instrument)
        was_flat = row.quantity == 0
        held, spent = quantity_units(row.quantity) + quantity, money_units(row.cost) + cost
        row.quantity, row.cost = quantity_value(held), money_value(spent)
        row.average_cost = money_value(average_price(cost=spent, quantity=held, multiplier=instrument.multiplier))
        row.realized_pnl += money_value(realized)
        if was_flat:
            row.mark, row.mark_reason = None, "Not marked yet."
        self.value(row, held=held, cost=spent, multiplier=instrument.multiplier)
        self.position_changed.add((portfolio.pk, instrument.pk))

    def value(self, row: Position, *, held: int, cost: int, multiplier: int) -> None:
        if held == 0:
            row.mark_reason, row.market_value, row.unrealized_pnl = "", Decimal(0), Decimal(0)
        elif row.mark is None:
            row.market_value = row.unrealized_pnl = None
        else:
            worth = market_value(price=money_units(row.mark), quantity=held, multiplier=multiplier)
            row.market_value, row.unrealized_pnl = money_value(worth), money_value(worth - cost)

    def split_position(
        self, portfolio: Portfolio, instrument: Instrument, *, quantity: int, ratio_from: int, ratio_to: int
    ) -> None:
        """Add what a split adds, and put the mark on the new basis, so that the value stays what it was."""
        row = self.position(portfolio, instrument)
        held = quantity_units(row.quantity) + quantity
        row.quantity = quantity_value(held)
        if row.mark is not None:
            row.mark = money_value(divide_half_away(money_units(row.mark) * ratio_from, ratio_to))
        self.value(row, held=held, cost=money_units(row.cost), multiplier=instrument.multiplier)
        row.average_cost = money_value(
            average_price(cost=money_units(row.cost), quantity=held, multiplier=instrument.multiplier)
        )
        self.position_changed.add((portfolio.pk, instrument.pk))

    def write(self) -> None:
        """Update what changed and insert what is new, parents first; a trade that ends makes room for its successor."""
        trades = [trade for group in self.trades.values() for trade in group]
        changed = [trade for trade in trades if trade.is_changed and not trade.is_new]
        update_rows([trade.row for trade in changed], TRADE_FIELDS)
        insert_rows([trade.row for trade in trades if trade.is_new])
        legs = [leg for trade in trades for leg in trade.legs.values()]
        insert_rows([leg for leg in legs if leg.pk is None])
        insert_rows(self.new_fills)
        self.write_lots(trades)
        update_rows([leg for t in changed for leg in t.legs.values()], LEG_FIELDS, guard=None)
        self.write_positions()

    def write_lots(self, trades: list[OpenTrade]) -> None:
        lots = [(lot, trade) for trade in trades for group in trade.lots.values() for lot in group]
        new = [(lot, trade.legs[lot.opening_fill.instrument_id]) for lot, trade in lots if lot.opening_fill]
        insert_units(Lot, NEW_LOT_COLUMNS, [new_lot_values(lot, leg) for lot, leg in new])
        changed = [lot for lot, _ in lots if lot.is_changed and not lot.is_new]
        update_units(Lot, LOT_COLUMNS, [(*lot_values(lot), lot.pk) for lot in changed])

    def write_positions(self) -> None:
        rows = [self.positions[key] for key in sorted(self.position_changed)]
        update_rows([row for row in rows if row.pk is not None], POSITION_FIELDS)
        insert_rows([row for row in rows if row.pk is None])


TRADE_FIELDS = (
    "status", "closed_at", "close_reason", "outcome", "realized_pnl", "commission", "fees"
)  # fmt: skip
LEG_FIELDS = ("open_quantity", "entered_quantity", "exited_quantity", "average_entry", "average_exit")
LOT_COLUMNS = ("quantity", "remaining", "cost", "price")
NEW_LOT_COLUMNS = (
    "user_id", "trade_leg_id", "portfolio_id", "instrument_id", "opening_fill_id", "opened_at", *LOT_COLUMNS
)  # fmt: skip
POSITION_FIELDS = (
    "quantity", "cost", "average_cost", "realized_pnl", "mark", "mark_reason", "market_value", "unrealized_pnl"
)  # fmt: skip


def named(symbols: set[str]) -> list[Instrument]:
    """The instruments of these symbols: those traded now, else the newest that once was."""
    listed = tradable(symbols)
    gone = Instrument.objects.filter(symbol__in=symbols - listed.keys()).order_by("pk")
    return [*{row.symbol: row for row in gone}.values(), *listed.values()]


def open_legs(portfolio_ids: list[int]) -> QuerySet[TradeLeg]:
    return TradeLeg.objects.filter(trade__portfolio_id__in=portfolio_ids).exclude(trade__status=TradeStatus.CLOSED)


def open_lots(portfolio_ids: list[int]) -> QuerySet[Lot, tuple]:
    """Lots that hold something, the oldest first, as plain tuples with their numbers in raw units."""
    units = {f"{name}_units": ExpressionWrapper(F(name), BigIntegerField()) for name in LOT_COLUMNS}
    rows = Lot.objects.filter(portfolio_id__in=portfolio_ids).exclude(remaining=0).order_by("opened_at", "pk")
    return rows.values_list("pk", "trade_leg_id", "instrument_id", "opened_at", *units.values())


def lot_values(lot: OpenLot) -> tuple[int, int, int, int]:
    return lot.units.quantity, lot.units.remaining, lot.units.cost, lot.units.price


def new_lot_values(lot: OpenLot, leg: TradeLeg) -> tuple[object, ...]:
    fill = lot.opening_fill
    assert fill is not None
    return (
        fill.user_id, leg.pk, fill.portfolio_id, fill.instrument_id, fill.pk, lot.opened_at, *lot_values(lot)
    )  # fmt: skip
