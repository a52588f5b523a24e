"""
Whose orders must be looked at? One comparison of integer columns over all orders of a batch. Pure.

A batch of accounts usually has nothing to do: this finds those that have, without making an object of any
order. It may name an account too many; it never misses one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from brokers.enums import OrderType, Side, SimulatedOrderState, TimeInForce
from brokers.simulator import candidates
from brokers.simulator.candidates import NEVER, OrderColumns, Series, Wait
from brokers.simulator.tape import PERCENT, Tape

COLUMNS = (
    "account_id", "instrument_id", "side", "order_type", "time_in_force", "state", "limit_units", "stop_units",
    "trail_amount_units", "trail_percent_units", "watermark_units", "extended_hours", "triggered_at",
    "active_from", "expires_at",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ONE_LOOK = frozenset({TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG, TimeInForce.CLS})
_WAITS = {
    (OrderType.MARKET, False): Wait.NOW,
    (OrderType.MARKET, True): Wait.NOW,
    (OrderType.LIMIT, False): Wait.LIMIT,
    (OrderType.LIMIT, True): Wait.LIMIT,
    (OrderType.STOP, False): Wait.STOP,
    (OrderType.STOP, True): Wait.NOW,
    (OrderType.STOP_LIMIT, False): Wait.STOP,
    (OrderType.STOP_LIMIT, True): Wait.LIMIT,
    (OrderType.TRAILING_STOP, False): Wait.TRAILING,
    (OrderType.TRAILING_STOP, True): Wait.NOW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """
    Working orders of many accounts, one entry each.

    `due_at` is the next moment in microseconds at which something happens to an order whatever the prices:
    it becomes active or ends. Only orders that `is_watched` react to prices.
    """

    account: np.ndarray
    instrument: np.ndarray
    due_at: np.ndarray
    is_watched: np.ndarray
    orders: OrderColumns

    def instruments(self) -> set[int]:
        return set(self.instrument.tolist())

    def extended_instruments(self) -> set[int]:
        return set(self.instrument[self.orders.extended_hours].tolist())

    def without(self, accounts: set[int]) -> "Resting":
        """Return the orders of the other accounts."""
        keep = ~np.isin(self.account, list(accounts))
        kept = {name: getattr(self.orders, name)[keep] for name in OrderColumns.__slots__}
        return Resting(
            account=self.account[keep],
            instrument=self.instrument[keep],
            due_at=self.due_at[keep],
            is_watched=self.is_watched[keep],
            orders=OrderColumns(**kept),
        )


def resting(rows: Sequence[tuple]) -> Resting:
    """Return rows of `COLUMNS` as columns."""
    table = np.array([_numbers(row) for row in rows], dtype=np.int64).reshape(len(rows), 12).T
    return Resting(
        account=table[0],
        instrument=table[1],
        due_at=table[2],
        is_watched=table[3].astype(bool),
        orders=OrderColumns(
            side=table[4],
            wait=table[5],
            limit=table[6],
            stop=table[7],
            trail_amount=table[8],
            trail_percent=table[9],
            watermark=table[10],
            extended_hours=table[11].astype(bool),
        ),
    )


def accounts_due(orders: Resting, *, until: datetime) -> set[int]:
    """Return the accounts of which an order becomes active or ends by then."""
    return set(orders.account[orders.due_at <= _microseconds(until)].tolist())


def accounts_touched(orders: Resting, tapes: Mapping[int, Tape]) -> set[int]:
    """Return the accounts of which an order could trade, wake or follow a new extreme somewhere on the tapes."""
    watched = np.flatnonzero(orders.is_watched)
    if not len(watched) or not tapes:
        return set()
    known = sorted(tapes)
    table = _extremes([tapes[instrument] for instrument in known])
    watched = watched[np.isin(orders.instrument[watched], known)]
    columns = OrderColumns(**{name: getattr(orders.orders, name)[watched] for name in OrderColumns.__slots__})
    position = np.searchsorted(known, orders.instrument[watched])
    rows = candidates.watch_rows(columns, position, instruments=len(known))
    return set(orders.account[watched[candidates.acting(rows, table)]].tolist())


def _extremes(tapes: Sequence[Tape]) -> np.ndarray:
    """
    Return, for each question and instrument, the answer of the observation that reaches furthest.

    Laid out as `candidates.acting` compares it. Any way of triggering and touching counts.
    """
    table = np.full((2, len(Series), len(tapes)), NEVER, dtype=np.int64)
    for number, tape in enumerate(tapes):
        table[:, :, number] = tape.extremes
    return table.reshape(-1)


def _numbers(row: tuple) -> tuple:
    (
        account, instrument, side, order_type, time_in_force, state, limit, stop, amount, percent, watermark,
        extended, triggered_at, active_from, expires_at,
    ) = row  # fmt: skip
    is_waiting = state == SimulatedOrderState.ACCEPTED
    due = active_from if is_waiting else expires_at
    is_watched = not is_waiting and time_in_force not in _ONE_LOOK
    wait = _WAITS[OrderType(order_type), triggered_at is not None]
    sign = 1 if side == Side.BUY else -1
    if wait is Wait.TRAILING and watermark:
        # Rounded towards the price: never reached later than the exact stop.
        stop = watermark + sign * (amount or watermark * percent // PERCENT)
    return (
        account, instrument, NEVER if due is None else _microseconds(due), is_watched, sign, wait, limit or 0,
        stop or 0, amount or 0, percent or 0, watermark or 0, extended,
    )  # fmt: skip


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
