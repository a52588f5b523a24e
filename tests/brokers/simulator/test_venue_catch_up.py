"""Time at the venue: downtime, splits, dividends, batches, failures of one account."""

import logging
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from brokers.enums import ActivityKind, OrderStatus, Side, TimeInForce
from brokers.models import Instrument, SimulatedAccount, SimulatedFill, SimulatedOrder, SimulatedPosition
from brokers.simulator import accounts, batch, book_writing, catch_up, venue

from .orders import activities, advance, fills, limit, order, report, send, stop, trailing
from .scripted import OPEN, ScriptedMarket

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MONDAY = date(2026, 11, 23)
MONDAY_OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MONDAY_CLOSE = datetime(2026, 11, 23, 21, 0, tzinfo=UTC)
GTC = TimeInForce.GTC


@pytest.fixture
def whole(aapl):
    """An instrument that trades in whole shares alone."""
    Instrument.objects.filter(pk=aapl.pk).update(is_fractionable=False)
    return aapl


def position(account):
    return SimulatedPosition.objects.get(account=account).quantity_units // 10**9


def book_of(kind, account):
    return [each for each in activities(account) if each.kind is kind]


# ------------------------------------------------------------------ splits


def test_a_split_4_for_1_turns_25_shares_and_their_stop_into_100_at_25_34(account, market):
    send(account, market, order(quantity="25"))
    send(account, market, stop("101.37", side=Side.SELL, quantity="25", time_in_force=GTC))
    market.split(MONDAY, 1, 4)
    advance(account, market, MONDAY_OPEN)
    assert position(account) == 100
    row = SimulatedOrder.objects.get(client_order_id="stop")
    assert (row.quantity_units, row.stop_units) == (100 * 10**9, 25_340_000)
    (split,) = book_of(ActivityKind.SPLIT, account)
    assert (split.quantity, split.ratio_from, split.ratio_to, split.amount) == (Decimal(100), 1, 4, 0)
    assert split.occurred_at < MONDAY_OPEN


def test_reports_carry_the_prices_in_force_after_a_split(account, market):
    send(account, market, order(quantity="50"))
    send(
        account,
        market,
        stop("101.37", side=Side.SELL, quantity="25", time_in_force=GTC),
        trailing(trail_amount=Decimal("4.00"), side=Side.SELL, quantity="25", time_in_force=GTC),
        limit("100.03", quantity="7", time_in_force=GTC),
    )
    assert report(account, "limit").limit_price == Decimal("100.03")
    market.split(MONDAY, 1, 4)
    market.quote(MONDAY_OPEN, "37.50", "37.51")
    advance(account, market, MONDAY_OPEN - SECOND)
    assert report(account, "stop").stop_price == Decimal("25.34")
    assert report(account, "stop").limit_price is None
    assert report(account, "trailing").trail_amount == Decimal("1.00")
    assert report(account, "limit").limit_price == Decimal("25.00")  # 25.0075 down


def test_a_reverse_split_1_for_8_leaves_12_of_101_shares_and_25_33_in_cash(whole, account, market):
    send(account, market, order(quantity="101"))
    before = venue.account_report(account.account_id).cash
    market.split(MONDAY, 8, 1)
    market.close_at(MONDAY_CLOSE, "40.53")
    advance(account, market, MONDAY_CLOSE - SECOND)
    assert venue.position_reports(account.account_id)[0].quantity == Decimal("12.625")
    assert book_of(ActivityKind.SPLIT, account)[0].quantity == Decimal("12.625")
    assert book_of(ActivityKind.CASH_IN_LIEU, account) == []
    advance(account, market, MONDAY_CLOSE)
    assert venue.position_reports(account.account_id)[0].quantity == 12
    (paid,) = book_of(ActivityKind.CASH_IN_LIEU, account)
    # 101 / 8 = 12.625; 0.625 x 40.53 = 25.33125
    assert (paid.quantity, paid.price, paid.amount) == (Decimal("0.625"), Decimal("40.53"), Decimal("25.33"))
    assert venue.account_report(account.account_id).cash == before + Decimal("25.33")


def test_a_split_3_for_2_of_101_shares_leaves_151_and_half_a_share(whole, account, market):
    send(account, market, order(quantity="101"))
    market.split(MONDAY, 2, 3)
    market.close_at(MONDAY_CLOSE, "100.01")
    advance(account, market, MONDAY_CLOSE)
    assert venue.position_reports(account.account_id)[0].quantity == 151
    (paid,) = book_of(ActivityKind.CASH_IN_LIEU, account)
    assert (paid.quantity, paid.amount) == (Decimal("0.5"), Decimal("50.01"))  # 50.005, half away from zero


def test_a_fractionable_share_keeps_its_fraction_through_a_split(account, market):
    send(account, market, order(quantity="101"))
    market.split(MONDAY, 8, 1)
    advance(account, market, MONDAY_CLOSE)
    assert venue.position_reports(account.account_id)[0].quantity == Decimal("12.625")


def test_prices_of_resting_orders_round_away_from_the_market_at_a_split(account, market):
    send(account, market, order(quantity="30"))
    send(
        account,
        market,
        limit("100.03", name="buy", quantity="7", time_in_force=GTC),
        limit("200.03", name="sell", side=Side.SELL, quantity="7", time_in_force=GTC),
    )
    market.split(MONDAY, 1, 4)
    advance(account, market, MONDAY_OPEN)
    rows = {each.client_order_id: each for each in SimulatedOrder.objects.exclude(state="FILLED")}
    assert rows["buy"].limit_units == 25_000_000  # 25.0075 down
    assert rows["sell"].limit_units == 50_010_000  # 50.0075 up
    assert rows["buy"].quantity_units == 28 * 10**9


def test_an_order_of_which_a_reverse_split_leaves_nothing_is_canceled(account, market):
    send(account, market, limit("100.00", name="seven", quantity="7", time_in_force=GTC))
    send(account, market, limit("100.00", name="eight", quantity="8", time_in_force=GTC), now=OPEN + 2 * MINUTE)
    market.split(MONDAY, 8, 1)
    advance(account, market, MONDAY_OPEN)
    assert report(account, "seven").reason_code == "CORPORATE_ACTION"
    assert report(account, "eight").quantity == 1


# ------------------------------------------------------------------ dividends


def test_a_dividend_is_promised_on_the_ex_date_and_paid_on_the_pay_date(account, market):
    send(account, market, order(quantity="37"))
    market.dividend(MONDAY, date(2026, 12, 3), "0.1975")
    before = venue.account_report(account.account_id).cash
    advance(account, market, MONDAY_OPEN)
    (promise,) = book_of(ActivityKind.DIVIDEND_DECLARED, account)
    assert (promise.promised, promise.amount) == (Decimal("7.31"), 0)  # 37 x 0.1975 = 7.3075
    pays = datetime(2026, 12, 3, 14, 30, tzinfo=UTC)
    advance(account, market, pays - SECOND)
    assert venue.account_report(account.account_id).cash == before
    advance(account, market, pays)
    (paid,) = book_of(ActivityKind.DIVIDEND, account)
    assert (paid.amount, paid.occurred_at, paid.event_id) == (Decimal("7.31"), pays, promise.event_id)
    assert venue.account_report(account.account_id).cash == before + Decimal("7.31")


def test_who_sells_on_the_ex_date_is_still_paid_and_who_buys_then_is_not(account, market):
    send(account, market, order(quantity="10"))
    market.dividend(MONDAY, date(2026, 12, 3), "1.00")
    market.quote(MONDAY_OPEN, "148.98", "149.02")
    advance(account, market, MONDAY_OPEN)
    send(account, market, order(name="out", side=Side.SELL), now=MONDAY_OPEN + MINUTE)
    other = accounts.open(event_id="late", cash=Decimal(9_000), preset="FRICTIONLESS", seed=1, now=MONDAY_OPEN + MINUTE)
    send(other, market, order(name="in"), now=MONDAY_OPEN + MINUTE)
    pays = datetime(2026, 12, 3, 14, 30, tzinfo=UTC)
    for each in (account, other):
        advance(each, market, pays)
    assert [each.amount for each in book_of(ActivityKind.DIVIDEND, account)] == [Decimal("10.00")]
    assert book_of(ActivityKind.DIVIDEND, other) == []


def test_a_dividend_lowers_buy_limits_and_sell_stops(account, market):
    send(account, market, order(quantity="20"))
    send(
        account,
        market,
        limit("140.00", name="buy", time_in_force=GTC),
        stop("130.00", name="protect", side=Side.SELL, time_in_force=GTC),
        limit("170.00", name="target", side=Side.SELL, time_in_force=GTC),
    )
    market.dividend(MONDAY, date(2026, 12, 3), "0.255")
    advance(account, market, MONDAY_OPEN)
    rows = {each.client_order_id: each for each in SimulatedOrder.objects.all()}
    assert rows["buy"].limit_units == 139_740_000  # 139.745 down
    assert rows["protect"].stop_units == 129_740_000
    assert rows["target"].limit_units == 170_000_000


# ------------------------------------------------------------------ downtime


def three_sessions():
    """Prices of Friday, Monday and Tuesday that fill a limit, then wake a stop."""
    market = ScriptedMarket().quote(OPEN, "149.98", "150.02")
    for day, bid, ask in ((3, "147.98", "148.02"), (4, "143.98", "144.02")):
        market.quote(OPEN + timedelta(days=day), bid, ask)
        market.quote(OPEN + timedelta(days=day, hours=2), bid, ask)
    return market


def test_three_sessions_of_downtime_give_what_the_same_days_lived_through_give(account):
    market = three_sessions()
    send(account, market, limit("148.02", quantity="50", time_in_force=GTC), order(quantity="10"))
    send(account, market, stop("145.00", side=Side.SELL, quantity="10", time_in_force=GTC), now=OPEN + 2 * MINUTE)
    end = OPEN + timedelta(days=4, hours=5)
    with_downtime(account, market, end)
    assert [(f.client_order_id, f.price) for f in fills(account)] == [
        ("one", Decimal("150.02")),
        ("limit", Decimal("148.02")),
        ("stop", Decimal("143.98")),
    ]


def with_downtime(account, market, end):
    """Live hour by hour, forget it, then sleep through all of it; the fills must be the same."""
    from django.db import transaction

    with transaction.atomic():
        at = OPEN + 3 * MINUTE
        while at < end:
            advance(account, market, at)
            at += timedelta(hours=1)
        advance(account, market, end)
        lived = fills(account)
        transaction.set_rollback(True)
    advance(account, market, end)
    assert fills(account) == lived


# ------------------------------------------------------------------ batches


def many(count, market, *, cash=20_000):
    opened = [
        accounts.open(event_id=f"many {n}", cash=Decimal(cash), preset="FRICTIONLESS", seed=n, now=OPEN)
        for n in range(count)
    ]
    for each in opened:
        send(each, market, limit("149.00", name="rest"))
    return [each.account_id for each in opened]


def queries_of_a_tick(ids, market, at):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        venue.advance(ids, now=at, market=market)
    return len(queries)


def test_a_tick_needs_the_same_statements_for_two_accounts_as_for_twenty(aapl, market):
    ids = many(20, market)
    at = OPEN + 2 * MINUTE
    two, twenty = queries_of_a_tick(ids[:2], market, at), queries_of_a_tick(ids[2:], market, at)
    assert two == twenty
    market.quote(OPEN + 3 * MINUTE, "148.90", "148.95")
    later = OPEN + 4 * MINUTE
    assert queries_of_a_tick(ids[:2], market, later) == queries_of_a_tick(ids[2:], market, later)
    assert SimulatedFill.objects.count() == 20


def test_observations_are_computed_once_for_all_accounts(aapl, market):
    ids = many(5, market)
    market.asked = 0
    venue.advance(ids, now=OPEN + 2 * MINUTE, market=market)
    assert market.asked == 1


def test_an_account_with_nothing_to_do_is_not_even_written(account, market):
    market.asked = 0
    now = OPEN + timedelta(days=40)
    assert advance(account, market, now) == now
    with CaptureQueriesContext(connection) as queries:
        venue.advance([account.account_id], now=now + MINUTE, market=market)
    assert not [each for each in queries if each["sql"].startswith(("UPDATE", "INSERT"))]
    assert market.asked == 0


def test_the_row_of_an_idle_account_is_never_five_minutes_behind_its_reports(account, market):
    for minutes in range(1, 30):
        now = OPEN + minutes * MINUTE
        venue.advance([account.account_id], now=now, market=market)
        account.refresh_from_db()
        assert now - account.matched_until < timedelta(minutes=5)


def test_an_account_that_fails_leaves_the_others_alone_and_says_why(aapl, market, monkeypatch, caplog):
    ids = many(3, market)
    market.quote(OPEN + 3 * MINUTE, "148.90", "148.95")
    honest = catch_up.carry

    def carry(book, stretch, around):
        honest(book, stretch, around)
        if book.account_id == ids[1]:
            raise ArithmeticError("the dice fell off the table")

    monkeypatch.setattr(catch_up, "carry", carry)
    with caplog.at_level(logging.CRITICAL):
        reached = venue.advance(ids, now=OPEN + 4 * MINUTE, market=market)
    assert set(reached) == {ids[0], ids[2]}
    assert SimulatedFill.objects.count() == 2
    failed = SimulatedAccount.objects.get(account_id=ids[1])
    assert "the dice fell off the table" in failed.error
    assert failed.matched_until == OPEN + MINUTE
    monkeypatch.undo()
    venue.advance(ids, now=OPEN + 4 * MINUTE, market=market)
    assert SimulatedFill.objects.count() == 3
    failed.refresh_from_db()
    assert failed.error == ""


def test_an_account_whose_rows_cannot_be_written_is_rolled_back_alone(aapl, market, monkeypatch, caplog):
    ids = many(3, market)
    market.quote(OPEN + 3 * MINUTE, "148.90", "148.95")
    honest = book_writing.write

    def write(books):
        for book in books:
            if book.account_id == ids[1]:
                book.cash_units = -1  # the database refuses a cash account below zero
        honest(books)

    monkeypatch.setattr(book_writing, "write", write)
    with caplog.at_level(logging.CRITICAL):
        reached = venue.advance(ids, now=OPEN + 4 * MINUTE, market=market)
    assert set(reached) == {ids[0], ids[2]}
    assert sorted(SimulatedFill.objects.values_list("account__account_id", flat=True)) == sorted((ids[0], ids[2]))
    assert SimulatedAccount.objects.get(account_id=ids[1]).error


def test_an_account_with_unreadable_settings_stops_no_other(aapl, market, caplog):
    ids = many(3, market)
    SimulatedOrder.objects.filter(account__account_id=ids[1]).update(settings={"luck": "1"})
    market.quote(OPEN + 3 * MINUTE, "148.90", "148.95")
    with caplog.at_level(logging.CRITICAL):
        reached = venue.advance(ids, now=OPEN + 4 * MINUTE, market=market)
    assert set(reached) == {ids[0], ids[2]}
    assert "luck" in SimulatedAccount.objects.get(account_id=ids[1]).error


def test_a_crash_in_the_middle_of_a_batch_keeps_nothing_and_a_rerun_gives_the_same(account, market, monkeypatch):
    send(account, market, limit("149.00"))
    market.quote(OPEN + 3 * MINUTE, "148.90", "148.95")

    def crash(books):
        raise KeyboardInterrupt

    monkeypatch.setattr(book_writing, "_write_holdings", crash)
    with pytest.raises(KeyboardInterrupt):
        venue.advance([account.account_id], now=OPEN + 4 * MINUTE, market=market)
    assert fills(account) == ()
    monkeypatch.undo()
    advance(account, market, OPEN + 4 * MINUTE)
    assert len(fills(account)) == 1


def test_advancing_twice_changes_nothing(account, market):
    send(account, market, limit("149.00"))
    market.quote(OPEN + 3 * MINUTE, "148.90", "148.95")
    advance(account, market, OPEN + 4 * MINUTE)
    once = venue.reports({account.account_id: OPEN})
    advance(account, market, OPEN + 4 * MINUTE)
    assert venue.reports({account.account_id: OPEN}) == once


def test_orders_of_an_instrument_without_prices_wait_and_say_so(account, market):
    send(account, market, limit("149.00", time_in_force=GTC))
    advance(account, ScriptedMarket(), OPEN + 5 * MINUTE)
    assert report(account, "limit").waiting_for == "the market has no prices of AAPL"
    assert report(account, "limit").status is OrderStatus.ACCEPTED


def test_more_accounts_than_a_batch_holds_are_all_carried(aapl, market, monkeypatch):
    monkeypatch.setattr(batch, "ACCOUNTS_PER_BATCH", 2)
    ids = many(5, market)
    assert set(venue.advance(ids, now=OPEN + 2 * MINUTE, market=market)) == set(ids)


# ------------------------------------------------------------------ reports


def test_fills_and_activities_are_numbered_by_time_activities_first(account, market):
    send(account, market, order(name="a"), order(name="b"))
    accounts.deposit(account.account_id, amount=Decimal(5), event_id="same moment", now=OPEN + MINUTE)
    found = venue.reports({account.account_id: OPEN})[account.account_id]
    (deposit,) = found.activities
    numbers = [deposit.sequence, *(fill.sequence for fill in found.fills)]
    assert numbers == sorted(set(numbers))
    assert max(numbers) < 2**63


def test_reports_repeat_the_last_instant_and_nothing_older(account, market):
    send(account, market, order(name="a"))
    send(account, market, order(name="b"), now=OPEN + 2 * MINUTE)
    found = venue.reports({account.account_id: OPEN + 2 * MINUTE})[account.account_id]
    assert [fill.client_order_id for fill in found.fills] == ["b"]
    assert found.caught_up_until == OPEN + 2 * MINUTE
