"""The result of a day does not depend on when, how often or with whom an account is carried through it."""

import contextlib
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from brokers import money
from brokers.enums import OrderType, Side, SimulatedOrderState, TimeInForce
from brokers.errors import OrderRejected
from brokers.market_data import sources
from brokers.messages import NewOrder, OrderChange
from brokers.models import (
    SimulatedAccount,
    SimulatedActivity,
    SimulatedFill,
    SimulatedOrder,
    SimulatedPosition,
)
from brokers.simulator import accounts, evidence, sweep, venue

pytestmark = pytest.mark.django_db

START = datetime(2026, 9, 14, 13, 0, tzinfo=UTC)  # Monday before the third Wednesday: dividends are due
END = datetime(2026, 9, 17, 21, 0, tzinfo=UTC)
SYMBOLS = ("SPY", "NVDA", "KO")
PRESETS = ("CONSERVATIVE", "ALPACA_LIKE", "IBKR_TIERED", "TRADIER_LIKE")
TIMES = {
    OrderType.MARKET: (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.OPG, TimeInForce.CLS),
    OrderType.LIMIT: (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.FOK, TimeInForce.GTD),
    OrderType.STOP: (TimeInForce.DAY, TimeInForce.GTC),
    OrderType.STOP_LIMIT: (TimeInForce.DAY, TimeInForce.GTC),
    OrderType.TRAILING_STOP: (TimeInForce.DAY, TimeInForce.GTC),
}


def some_orders(seed, market):
    """Return (moment, account number, order) in order of time."""
    dice = random.Random(seed)
    found = []
    for number in range(70):
        moment = START + timedelta(days=dice.randrange(4), seconds=dice.randrange(8 * 3_600))
        symbol = dice.choice(SYMBOLS)
        last = int(market.observation_at(symbol, at=int(moment.timestamp())).last[0])
        found.append((moment, dice.randrange(len(PRESETS)), some_order(dice, number, symbol, last)))
    return sorted(found, key=lambda each: each[0])


def some_order(dice, number, symbol, last):
    kind = dice.choice(list(OrderType))
    tif = dice.choice(TIMES[kind])
    side = dice.choice((Side.BUY, Side.BUY, Side.SELL))

    def near(low, high):
        return (Decimal(last) / 1_000_000 * Decimal(dice.uniform(low, high))).quantize(Decimal("0.01"))

    is_extended = kind is OrderType.LIMIT and tif in (TimeInForce.DAY, TimeInForce.GTC) and dice.random() < 0.3
    is_by_amount = kind is OrderType.MARKET and tif is TimeInForce.DAY and side is Side.BUY and dice.random() < 0.3
    stop_range = (0.999, 1.01) if side is Side.BUY else (0.99, 1.001)
    return NewOrder(
        client_order_id=f"order {number}",
        symbol=symbol,
        side=side,
        order_type=kind,
        time_in_force=tif,
        quantity=None if is_by_amount else Decimal(dice.choice((1, 7, 60, 900, 4_000))),
        notional=Decimal("5000.25") if is_by_amount else None,
        extended_hours=is_extended,
        limit_price=near(0.99, 1.01) if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None,
        stop_price=near(*stop_range) if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
        trail_percent=Decimal("0.4") if kind is OrderType.TRAILING_STOP else None,
        expires_on=END.date() if tif is TimeInForce.GTD else None,
    )


def live_through(scenario, market, *, pauses):
    """Open four accounts, send the orders at their moments, advance at the pauses, and return all rows."""
    with transaction.atomic():
        opened = [
            accounts.open(event_id=f"a{n}", cash=Decimal("900000"), preset=p, seed=n, now=START)
            for n, p in enumerate(PRESETS)
        ]
        ids = [each.account_id for each in opened]
        moments = [(at, None, None) for at in pauses] + scenario
        for at, number, order in sorted(moments, key=lambda each: (each[0], each[1] is not None)):
            if order is None:
                chosen = ids if at.second % 2 else [ids[at.second % 4]]
                venue.advance(chosen, now=at, market=market)
            else:
                caught_up(ids[number], at, market)
                act(ids[number], order, at, market)
        for account_id in ids:
            caught_up(account_id, END, market)
        for each in opened:
            check_invariants(each.pk)
        rows = everything()
        transaction.set_rollback(True)
    return rows


def act(account_id, order, at, market):
    """Send an order; every fifth time change or cancel the oldest one that works instead."""
    number = int(order.client_order_id.split()[1])
    oldest = SimulatedOrder.objects.filter(account__account_id=account_id, state__in=("ACCEPTED", "WORKING"))
    if number % 5 or not oldest.exists():
        venue.submit_many(account_id, [order], now=at, market=market)
        return
    identity = str(oldest.order_by("accepted_at", "client_order_id").first().venue_order_id)
    if number % 2:
        venue.cancel(account_id, identity, now=at, market=market)
        return
    change = OrderChange(client_order_id=order.client_order_id, quantity=Decimal(11))
    with contextlib.suppress(OrderRejected):
        venue.replace_order(account_id, identity, change, now=at, market=market)


def caught_up(account_id, now, market):
    while venue.advance([account_id], now=now, market=market)[account_id] < now:
        pass


def check_invariants(account):
    """Section 11 of the simulator's page, as far as one account's rows can show it."""
    orders = list(SimulatedOrder.objects.filter(account=account))
    fills = list(SimulatedFill.objects.filter(account=account))
    row = SimulatedAccount.objects.get(pk=account)
    moved = sum(each.amount_units for each in SimulatedActivity.objects.filter(account=account))
    for fill in fills:
        notional = money.notional_cents(fill.price_units, fill.quantity_units)
        moved -= Side(fill.side).sign * notional + fill.commission_units + fill.fees_units
        assert fill.commission_units >= 0
        assert fill.fees_units >= 0
        again = evidence.recompute(fill.evidence)
        assert again == (fill.price_units, fill.commission_units, fill.fees_units)
    assert row.cash_units == moved
    assert 0 <= sum(each.reserve_units for each in orders) <= row.cash_units
    for each in orders:
        assert each.filled_units == sum(f.quantity_units for f in fills if f.order_id == each.pk)
        assert SimulatedOrderState(each.state).is_final or each.expires_at > END
        assert each.reserve_units == 0 or not SimulatedOrderState(each.state).is_final
    check_positions(account, orders, fills)


def check_positions(account, orders, fills):
    for position in SimulatedPosition.objects.filter(account=account):
        mine = [fill for fill in fills if fill.instrument_id == position.instrument_id]
        assert position.quantity_units == sum(Side(f.side).sign * f.quantity_units for f in mine)
        held = sum(
            each.quantity_units - each.filled_units
            for each in orders
            if each.instrument_id == position.instrument_id
            and each.effect == "CLOSE"
            and not SimulatedOrderState(each.state).is_final
        )
        assert 0 <= held <= position.quantity_units


def everything():
    ignored = {"id", "created_at", "version", "matched_until", "order_id", "account_id", "replaces_id"}
    rows = {}
    for model, extra, key in (
        (SimulatedAccount, ("account_id",), "account_id"),
        (SimulatedOrder, ("account__account_id",), "venue_order_id"),
        (SimulatedFill, ("account__account_id", "order__venue_order_id"), "execution_id"),
        (SimulatedPosition, ("account__account_id",), "instrument_id"),
        (SimulatedActivity, ("account__account_id",), "activity_id"),
    ):
        names = [f.attname for f in model._meta.concrete_fields if f.attname not in ignored]
        found = model.objects.values(*names, *extra)
        rows[model.__name__] = sorted(found, key=lambda row: (str(row[key]), str(row)))
    return rows


def differences(some, others):
    """Name every column of every row that differs."""
    found = []
    for name, rows in some.items():
        if len(rows) != len(others[name]):
            found.append((name, len(rows), len(others[name])))
            continue
        for row, other in zip(rows, others[name], strict=True):
            found += [
                (name, row.get("client_order_id"), key, row[key], other[key]) for key in row if row[key] != other[key]
            ]
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_step_many_steps_and_other_batches_give_equal_rows(seed, settings):
    settings.REPLAY_BARS = "synthetic"
    sources.list_instruments()
    market = sources.replay_market()
    scenario = some_orders(seed, market)
    dice = random.Random(seed + 100)
    span = int((END - START).total_seconds())
    pauses = [START + timedelta(seconds=dice.randrange(span)) for _ in range(60)]
    at_once = live_through(scenario, market, pauses=[])
    in_pieces = live_through(scenario, market, pauses=pauses)
    assert len(at_once["SimulatedFill"]) >= 15
    assert differences(at_once, in_pieces) == []


def test_looking_only_at_what_the_sweep_names_misses_nothing(settings, monkeypatch):
    settings.REPLAY_BARS = "synthetic"
    sources.list_instruments()
    market = sources.replay_market()
    scenario = some_orders(5, market)
    pauses = [START + timedelta(minutes=37 * number) for number in range(110)]
    with_sweep = live_through(scenario, market, pauses=pauses)
    monkeypatch.setattr(sweep, "accounts_touched", lambda orders, tapes: set(orders.account.tolist()))
    looking_at_all = live_through(scenario, market, pauses=pauses)
    assert differences(with_sweep, looking_at_all) == []
