"""What splits and dividends do to an account's positions and working orders. Pure."""

from datetime import date, datetime

from brokers import money
from brokers.enums import ActivityKind, OrderType, Side, SimulatedOrderState
from brokers.instruments import round_down_to, round_up_to
from brokers.market_data.replay.events import MarketEvent
from brokers.money import QUANTITY
from brokers.simulator.book import AccountBook, BookedActivity, Promise, Traded, WorkingOrder
from brokers.simulator.matching import spoken

CORPORATE_ACTION = "CORPORATE_ACTION"


def apply_split(
    book: AccountBook,
    event: MarketEvent,
    traded: Traded,
    *,
    at: datetime,
    session_date: date,
    closes: datetime,
) -> None:
    """
    Change position and working orders of one instrument by a split, before its first trade.

    What is less than a share of an instrument that trades whole stays in the position until it is taken out
    and paid in cash at the close of the session: CASH_IN_LIEU.
    """
    for order in _working_in(book, traded.instrument_id):
        _split_order(order, event, traded, at=at)
    holding = book.holdings.get(traded.instrument_id)
    if holding is None or holding.quantity_units == 0:
        return
    exact = holding.quantity_units * event.ratio_to
    after, left_over = _split_quantity(exact, event.ratio_from, traded)
    holding.quantity_units = after
    holding.average_price_units = money.divide_half_away(holding.average_price_units * event.ratio_from, event.ratio_to)
    holding.is_changed = True
    book.activities.append(
        BookedActivity(
            kind=ActivityKind.SPLIT,
            event_id=f"{ActivityKind.SPLIT}:{event.event_id}",
            occurred_at=at,
            instrument_id=traded.instrument_id,
            quantity_units=after,
            ratio_from=event.ratio_from,
            ratio_to=event.ratio_to,
            fraction_units=left_over or None,
            pays_on=session_date if left_over else None,
            text=f"Split {event.ratio_to} for {event.ratio_from}.",
        )
    )
    if left_over:
        book.promises.append(
            Promise(ActivityKind.CASH_IN_LIEU, event.event_id, traded.instrument_id, left_over, closes)
        )


def declare_dividend(
    book: AccountBook, event: MarketEvent, traded: Traded, *, at: datetime, pays_on: date, due: datetime
) -> None:
    """Promise a dividend on the position held before the ex-date; a short position owes it. Cash stays."""
    for order in _working_in(book, traded.instrument_id):
        if book.settings[order.settings_version].adjust_for_dividends:
            _lower_for_dividend(order, event.cash_units, traded, at=at)
    position = book.position_units(traded.instrument_id)
    promised = money.divide_half_away(position * event.cash_units, QUANTITY * money.CENT) * money.CENT
    if not promised:
        return
    book.activities.append(
        BookedActivity(
            kind=ActivityKind.DIVIDEND_DECLARED,
            event_id=f"{ActivityKind.DIVIDEND_DECLARED}:{event.event_id}",
            occurred_at=at,
            instrument_id=traded.instrument_id,
            quantity_units=position,
            price_units=event.cash_units,
            promised_units=promised,
            pays_on=pays_on,
        )
    )
    book.promises.append(Promise(ActivityKind.DIVIDEND, event.event_id, traded.instrument_id, promised, due))


def keep_promise(book: AccountBook, promise: Promise, *, close_units: int) -> None:
    """Pay a dividend, or cash in lieu of a fraction at the session's close; money half away to the cent."""
    amount, quantity, price = promise.units, None, None
    if promise.kind is ActivityKind.CASH_IN_LIEU:
        quantity, price = promise.units, close_units
        amount = money.notional_cents(close_units, promise.units)
        holding = book.holding(promise.instrument_id)
        holding.quantity_units -= promise.units
        holding.is_changed = True
    book.cash_units += amount
    book.activities.append(
        BookedActivity(
            kind=promise.kind,
            event_id=f"{promise.kind}:{promise.event_id}",
            occurred_at=promise.due,
            instrument_id=promise.instrument_id,
            quantity_units=quantity,
            price_units=price,
            amount_units=amount,
        )
    )


def _working_in(book: AccountBook, instrument_id: int) -> list[WorkingOrder]:
    return [order for order in book.working() if order.instrument_id == instrument_id]


def _split_quantity(exact: int, ratio_from: int, traded: Traded) -> tuple[int, int]:
    """Return the position after a split and the part of a share in it that cannot stay, signed like `exact`."""
    sign = 1 if exact >= 0 else -1
    after = abs(exact) // ratio_from
    if traded.is_fractionable:
        return sign * after, 0
    return sign * after, sign * (after % QUANTITY)


def _split_order(order: WorkingOrder, event: MarketEvent, traded: Traded, *, at: datetime) -> None:
    """Quantity by the ratio down to whole shares, prices by its inverse, rounded so that nothing fills sooner."""
    remaining = order.remaining_units
    if order.quantity_units is not None:
        step = 1 if traded.is_fractionable and remaining % QUANTITY else QUANTITY
        left = remaining * event.ratio_to // event.ratio_from // step * step
        if left == 0:
            order.end(
                SimulatedOrderState.CANCELED,
                at=at,
                code=CORPORATE_ACTION,
                text=f"After the split {event.ratio_to} for {event.ratio_from} less than a share was left of it.",
            )
            return
        order.quantity_units = order.filled_units + left
    order.limit_units = _split_price(order.limit_units, event, traded, down=order.side is Side.BUY)
    order.stop_units = _split_price(order.stop_units, event, traded, down=order.side is Side.SELL)
    for name in ("trail_amount_units", "watermark_units"):
        value = getattr(order, name)
        if value is not None:
            setattr(order, name, max(1, money.divide_half_away(value * event.ratio_from, event.ratio_to)))
    order.change(order.state, at=at)


def _split_price(price: int | None, event: MarketEvent, traded: Traded, *, down: bool) -> int | None:
    if price is None:
        return None
    step = traded.increments.at(price * event.ratio_from // event.ratio_to)
    if down:
        return max(step, price * event.ratio_from // event.ratio_to // step * step)
    return round_up_to(money.divide_up(price * event.ratio_from, event.ratio_to), step)


def _lower_for_dividend(order: WorkingOrder, cash_units: int, traded: Traded, *, at: datetime) -> None:
    """Lower buy limits and sell stops by the dividend, down to the increment (FINRA Rule 5330)."""
    is_sell_stop = order.side is Side.SELL and order.order_type in (
        OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP
    )  # fmt: skip
    is_buy_limit = order.side is Side.BUY and order.order_type is OrderType.LIMIT
    if not (is_sell_stop or is_buy_limit):
        return
    before = (order.limit_units, order.stop_units, order.watermark_units)
    order.limit_units = _lowered(order.limit_units, cash_units, traded)
    order.stop_units = _lowered(order.stop_units, cash_units, traded)
    if order.watermark_units is not None:
        order.watermark_units = max(1, order.watermark_units - cash_units)
    if before != (order.limit_units, order.stop_units, order.watermark_units):
        order.waiting_for = f"prices lowered by the dividend of {spoken(cash_units)}"
        order.change(order.state, at=at)


def _lowered(price: int | None, cash_units: int, traded: Traded) -> int | None:
    if price is None:
        return None
    step = traded.increments.at(max(1, price - cash_units))
    return max(step, round_down_to(price - cash_units, step))
