"""From wishes to order rows: split over the trades they close, judged against every limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.enums import OrderStatus, OrderType, PositionEffect, Side
from brokers.errors import Refusal
from brokers.market_data.prices import Price
from brokers.models import Instrument
from brokers.money import NotRepresentable, money_units, quantity_units
from portfolio.enums import OrderRole, Origin
from portfolio.models import Order, OrderLeg, Trade
from portfolio.order_intents import OrderIntent, client_order_id
from portfolio.risk import limits as risk
from portfolio.standing import OpenHolding, Standing, add_accepted, estimated_price, sector_of

MONEY_FIELDS = ("limit_price", "stop_price", "trail_amount", "trail_percent", "notional")


@dataclass(slots=True)
class Planned:
    """One order about to be written, with what speaks against it."""

    intent: OrderIntent
    order: Order
    leg: OrderLeg | None
    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a wish: an entry, or the exit of one trade."""

    role: OrderRole
    quantity: Decimal | None
    trade: Trade | None = None


@dataclass(slots=True)
class Slices:
    parts: list[Slice] = field(default_factory=list)
    refusals: tuple[Refusal, ...] = ()


def plan(
    intent: OrderIntent,
    *,
    instrument: Instrument | None,
    standing: Standing,
    price: Price | None,
    price_problem: str,
    now: datetime,
) -> list[Planned]:
    """
    Return the orders of one wish; when anything refuses it, one order that carries all the refusals.

    A sell by hand of more than the oldest trade holds becomes one order a trade, oldest first. What is
    accepted is added to `standing`: the next wish of the same request is judged with it.
    """
    unfit = shape_refusals(intent, instrument)
    if unfit or instrument is None:
        return [planned(intent, Slice(OrderRole.ENTRY, None), instrument, price, unfit, (), now=now)]
    slices = slices_of(intent, instrument, standing)
    proposal = proposal_for(intent, instrument, standing, slices, price, price_problem)
    refused = (*slices.refusals, *risk.check(proposal, standing.limits))
    parts = slices.parts[:1] if refused else slices.parts
    notes = risk.warnings(proposal, standing.limits)
    result = [planned(intent, part, instrument, price, refused, notes, now=now) for part in parts]
    for item in result:
        if not item.refusals and item.leg is not None:
            add_accepted(standing, item.order, item.leg)
    return result


def shape_refusals(intent: OrderIntent, instrument: Instrument | None) -> tuple[Refusal, ...]:
    """What is wrong with the wish itself, whatever the portfolio: unknown symbol, absurd numbers."""
    found = []
    if instrument is None:
        found.append(Refusal("SYMBOL_UNKNOWN", f"There is no instrument called {intent.symbol!r}.", intent.symbol))
    found += number_refusals("Quantity", intent.quantity, quantity_units)
    for name in MONEY_FIELDS:
        found += number_refusals(name.replace("_", " ").capitalize(), getattr(intent, name), money_units)
    if (intent.quantity is None) == (intent.notional is None):
        found.append(Refusal("QUANTITY_OR_NOTIONAL", "Give either a quantity or an amount of money, not both."))
    if intent.notional is not None and intent.side is Side.SELL:
        found.append(Refusal("QUANTITY_OR_NOTIONAL", "An amount of money can be bought, not sold: give a quantity."))
    return tuple(found)


def number_refusals(name: str, value: Decimal | None, to_units: Any) -> list[Refusal]:
    """Refuse what is not above zero, has too many decimals, or no book could hold."""
    if value is None:
        return []
    if not value.is_finite() or value <= 0:
        return [Refusal("QUANTITY_NOT_POSITIVE", f"{name} must be above 0, not {value}.", str(value), "> 0")]
    try:
        to_units(value)
    except NotRepresentable as error:
        return [Refusal("NUMBER_NOT_USABLE", f"{name}: {error}", str(value))]
    if value >= 1_000_000_000:
        return [Refusal("NUMBER_NOT_USABLE", f"{name} {value:f} is absurdly large.", str(value), "1,000,000,000")]
    return []


def slices_of(intent: OrderIntent, instrument: Instrument, standing: Standing) -> Slices:
    """Decide what an intent opens or closes; nobody touches what another origin owns."""
    if intent.trade is not None:
        return exit_of_trade(intent, instrument, standing)
    opposite = [
        holding for holding in standing.holdings[instrument.pk] if (holding.quantity > 0) == (intent.side is Side.SELL)
    ]
    own = [holding for holding in opposite if holding.trade.origin == intent.origin]
    if not opposite:
        return Slices([Slice(OrderRole.ENTRY, intent.quantity)])
    entry = Slice(OrderRole.ENTRY, intent.quantity)
    if not own:
        return Slices([entry], (opposite_refusal(instrument, opposite),))
    return exits_of(intent, instrument, own)


def exits_of(intent: OrderIntent, instrument: Instrument, own: Sequence[OpenHolding]) -> Slices:
    """Spread a closing quantity over this origin's trades, oldest first, without those already offered."""
    if intent.quantity is None:
        return Slices([Slice(OrderRole.EXIT, None, own[0].trade)], (quantity_needed(),))
    free = [holding for holding in own if holding.live_exit is None]
    offered = [holding for holding in own if holding.live_exit is not None]
    left, parts = intent.quantity, []
    for holding in free:
        taken = min(left, abs(holding.quantity))
        if taken > 0:
            parts.append(Slice(OrderRole.EXIT, taken, holding.trade))
            left -= taken
    if left <= 0:
        return Slices(parts)
    fallback = [Slice(OrderRole.EXIT, intent.quantity, own[0].trade)]
    return Slices(fallback, (too_much_refusal(intent, instrument, free, offered),))


def exit_of_trade(intent: OrderIntent, instrument: Instrument, standing: Standing) -> Slices:
    """The exit of one named trade: of what it still holds, once. A trade of elsewhere is none of ours."""
    assert intent.trade is not None
    is_ours = intent.trade.portfolio_id == standing.portfolio.pk
    part = Slice(OrderRole.EXIT, intent.quantity, intent.trade if is_ours else None)
    mine = next((h for h in standing.holdings[instrument.pk] if h.trade.pk == intent.trade.pk), None)
    if mine is None or not is_ours:
        gone = Refusal("TRADE_NOT_OPEN", f"This trade holds no {instrument.symbol} any more; nothing was sent.")
        return Slices([part], (gone,))
    refused = exit_refusal(intent, instrument, mine)
    return Slices([part], () if refused is None else (refused,))


def exit_refusal(intent: OrderIntent, instrument: Instrument, mine: OpenHolding) -> Refusal | None:
    """Why this order is no exit of that holding, if it is none."""
    if (mine.quantity > 0) is (intent.side is Side.BUY):
        return Refusal(
            "EXIT_WRONG_SIDE",
            f"This trade holds {plain(mine.quantity)} {instrument.symbol}: a {intent.side.lower()} order would add "
            "to it, not close it.",
            intent.side.value,
        )
    if mine.live_exit is not None:
        name = named(mine.live_exit)
        return Refusal("EXIT_WORKING", f"{name[0].upper()}{name[1:]} already offers this trade; cancel it first.")
    if intent.quantity is None:
        return quantity_needed()
    if intent.quantity > abs(mine.quantity):
        return Refusal(
            "QUANTITY_EXCEEDS_HOLDING",
            f"This trade holds {plain(abs(mine.quantity))} {instrument.symbol}; "
            f"{plain(intent.quantity)} cannot be closed.",
            plain(intent.quantity),
            plain(abs(mine.quantity)),
        )
    return None


def quantity_needed() -> Refusal:
    return Refusal("QUANTITY_OR_NOTIONAL", "What closes a trade is a quantity: an amount of money cannot be closed.")


def named(order: Order) -> str:
    """An order in a sentence; one of the same request has no number yet."""
    return "another order of this request" if order.pk is None else f"order {order.pk}"


def opposite_refusal(instrument: Instrument, holdings: Sequence[OpenHolding]) -> Refusal:
    owner = ", ".join(sorted({holding.trade.origin for holding in holdings}))
    held = sum((holding.quantity for holding in holdings), Decimal(0))
    return Refusal(
        "OPPOSITE_TRADE_OPEN",
        f"This portfolio holds {plain(held)} {instrument.symbol} in a trade of origin {owner}. It belongs to "
        "that origin, and one portfolio never holds long and short of one instrument.",
        plain(held),
    )


def too_much_refusal(
    intent: OrderIntent, instrument: Instrument, free: Sequence[OpenHolding], offered: Sequence[OpenHolding]
) -> Refusal:
    available = sum((abs(holding.quantity) for holding in free), Decimal(0))
    if offered:
        orders = ", ".join(dict.fromkeys(named(holding.live_exit) for holding in offered if holding.live_exit))
        return Refusal(
            "EXIT_WORKING",
            f"Only {plain(available)} {instrument.symbol} are free: {orders} already offers the rest. "
            "Cancel it first, or ask for less.",
            plain(intent.quantity),
            plain(available),
        )
    return Refusal(
        "QUANTITY_EXCEEDS_HOLDING",
        f"You hold {plain(available)} {instrument.symbol} to close; {plain(intent.quantity)} is too many. "
        "Closing and reversing in one order is not possible: split it.",
        plain(intent.quantity),
        plain(available),
    )


def proposal_for(
    intent: OrderIntent,
    instrument: Instrument,
    standing: Standing,
    slices: Slices,
    price: Price | None,
    price_problem: str,
) -> risk.Proposal:
    portfolio = standing.portfolio
    estimate = judged_price(intent, price)
    value = intent.notional
    if value is None and estimate is not None:
        value = (intent.quantity or Decimal(0)) * estimate * instrument.multiplier
    return risk.Proposal(
        portfolio=portfolio.name,
        state=portfolio.trading_state,
        state_reason=portfolio.state_reason,
        symbol=instrument.symbol,
        sector=sector_of(instrument),
        is_closing=all(part.role is not OrderRole.ENTRY for part in slices.parts),
        is_guard=intent.origin is Origin.GUARD,
        value=None if estimate is None else value,
        equity=standing.equity,
        put_in=standing.put_in,
        symbol_value=standing.symbol_values[instrument.pk],
        sector_value=standing.sector_values[sector_of(instrument)],
        trades_today=standing.trades_today,
        day_pnl=standing.day_pnl,
        price_problem=price_problem,
    )


def judged_price(intent: OrderIntent, price: Price | None) -> Decimal | None:
    """The price an order is judged at, by its own levels and the far side now."""
    return estimated_price(
        order_type=intent.order_type,
        side=intent.side,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        market_price=market_side(intent.side, price),
    )


def market_side(side: Side, price: Price | None) -> Decimal | None:
    """The far side of the quote where there is one, else the value."""
    if price is None:
        return None
    return (price.ask if side is Side.BUY else price.bid) or price.value


def planned(
    intent: OrderIntent,
    part: Slice,
    instrument: Instrument | None,
    price: Price | None,
    refused: tuple[Refusal, ...],
    notes: tuple[str, ...],
    *,
    now: datetime,
) -> Planned:
    """Build the rows of one part; refused ones are DENIED and never sent."""
    portfolio = intent.portfolio
    key = intent.intent_key if part.trade is None or intent.trade else f"{intent.intent_key}/{part.trade.pk}"
    order = Order(
        user_id=portfolio.user_id,
        portfolio=portfolio,
        origin=intent.origin,
        role=part.role,
        trade=part.trade,
        plan=intent.plan,
        intent_key=intent.intent_key,
        client_order_id=client_order_id(portfolio_id=portfolio.pk, origin=intent.origin, intent_key=key),
        request_hash=intent.request_hash,
        order_type=intent.order_type,
        time_in_force=intent.time_in_force,
        expires_on=intent.expires_on,
        quantity=part.quantity or intent.quantity,
        extended_hours=intent.extended_hours,
        status=OrderStatus.DENIED if refused else OrderStatus.SUBMITTED,
        denials=[refusal_json(refusal) for refusal in refused],
        warnings=list(notes),
        reason_code=refused[0].code if refused else "",
        reason_text=" ".join(refusal.message for refusal in refused)[:1000],
        expected_price=expected_price(intent, price),
        judged_price=storable_price(judged_price(intent, price)),
        submitted_at=now,
        final_at=now if refused else None,
        **{name: getattr(intent, name) for name in MONEY_FIELDS},
    )
    keep_storable(order)
    effect = PositionEffect.OPEN if part.role is OrderRole.ENTRY else PositionEffect.CLOSE
    leg = None
    if instrument is not None:
        leg = OrderLeg(
            user_id=portfolio.user_id,
            order=order,
            instrument=instrument,
            side=intent.side,
            position_effect=effect,
        )
    return Planned(intent, order, leg, refused, notes)


def expected_price(intent: OrderIntent, price: Price | None) -> Decimal | None:
    """
    The price that slippage is measured from: a stop's own level, else the market's when the order was placed.

    A trailing stop has no level of its own yet; the venue's evidence then says what was expected.
    """
    if intent.order_type in (OrderType.STOP, OrderType.STOP_LIMIT):
        return intent.stop_price
    if intent.order_type is OrderType.TRAILING_STOP:
        return None
    return None if price is None else price.value


def storable_price(price: Decimal | None) -> Decimal | None:
    return None if price is None or number_refusals("Price", price, money_units) else price


def keep_storable(order: Order) -> None:
    """A denied order may carry numbers no column takes; they stay in its denials and leave the columns."""
    if order.status != OrderStatus.DENIED:
        return
    for name, to_units in (("quantity", quantity_units), *((name, money_units) for name in MONEY_FIELDS)):
        value = getattr(order, name)
        if number_refusals(name, value, to_units):
            setattr(order, name, None)


def refusal_json(refusal: Refusal) -> dict[str, str]:
    return {
        "code": refusal.code,
        "message": refusal.message,
        "measured": refusal.measured,
        "limit": refusal.limit,
    }


def plain(value: Decimal | None) -> str:
    return "–" if value is None else format(value.normalize(), "f")


def merged_notes(plans: Sequence[Planned]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for item in plans for note in item.warnings))


def prices_by_symbol(found: Mapping[str, Any], symbol: str) -> tuple[Price | None, str]:
    """Return the usable price, or the sentence why there is none."""
    price = found.get(symbol)
    if isinstance(price, Price):
        return price, ""
    return None, "" if price is None else str(price)
