"""Orders of one account at the venue: taken, matched, charged, changed, ended."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from brokers.enums import OrderStatus, Side, TimeInForce
from brokers.errors import AccountUnknown, BrokerUnavailable, OrderRejected
from brokers.messages import OrderChange
from brokers.models import SimulatedAccount, SimulatedOrder
from brokers.simulator import accounts, venue

from .orders import advance, fills, limit, order, report, send, stop, trailing
from .scripted import CLOSE, OPEN, ScriptedMarket, units

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def cash(account):
    return venue.account_report(account.account_id).cash


# ------------------------------------------------------------------ taken and filled


def test_a_market_order_in_session_fills_at_once_at_the_ask(account, market):
    (found,) = send(account, market, order())
    assert found.status is OrderStatus.FILLED
    (fill,) = fills(account)
    assert (fill.quantity, fill.price, fill.expected_price) == (Decimal(10), Decimal("150.02"), Decimal("150.02"))
    assert cash(account) == Decimal("98499.80")
    (position,) = venue.position_reports(account.account_id)
    assert (position.quantity, position.average_price) == (Decimal(10), Decimal("150.02"))


def test_a_market_order_before_the_open_waits_for_the_first_observation(account, market):
    (found,) = send(account, market, order(), now=OPEN - 5 * MINUTE)
    assert found.status is OrderStatus.ACCEPTED
    assert found.waiting_for == "active from 2026-11-20 14:30 UTC"
    assert advance(account, market, OPEN + 3 * SECOND) == OPEN + 3 * SECOND
    (fill,) = fills(account)
    assert fill.executed_at == OPEN


def test_a_resting_limit_fills_at_its_own_price_when_the_ask_comes_down(account, market):
    (found,) = send(account, market, limit("149.90"))
    assert found.waiting_for == "ask 150.02 > limit 149.90"
    assert venue.account_report(account.account_id).reserved == Decimal("1499.00")
    at = OPEN + 2 * MINUTE
    market.quote(at, "149.70", "149.80")
    advance(account, market, at + SECOND)
    (fill,) = fills(account)
    assert (fill.price, fill.executed_at) == (Decimal("149.90"), at)
    assert venue.account_report(account.account_id).reserved == 0


def test_a_limit_exactly_on_the_quote_fills_and_one_increment_short_does_not(account, market):
    send(account, market, limit("150.01", name="short"), limit("150.02", name="exact"))
    assert report(account, "exact").status is OrderStatus.FILLED
    assert report(account, "short").status is OrderStatus.ACCEPTED


def test_a_stop_wakes_exactly_at_its_price(account, market):
    send(account, market, order(name="entry"))
    send(account, market, stop("149.50", side=Side.SELL))
    market.quote(OPEN + 2 * MINUTE, "149.50", "149.54", last="149.51")
    advance(account, market, OPEN + 3 * MINUTE)
    assert len(fills(account)) == 1
    market.quote(OPEN + 4 * MINUTE, "149.49", "149.53", last="149.50")
    advance(account, market, OPEN + 5 * MINUTE)
    assert fills(account)[1].price == Decimal("149.49")


def test_a_trailing_stop_follows_the_highest_print_and_never_goes_back(account, market):
    send(account, market, order(name="entry"))
    send(account, market, trailing(trail_amount=Decimal("1.00"), side=Side.SELL))
    for minute, last in ((2, "152.00"), (3, "151.50"), (4, "151.01")):
        market.quote(OPEN + minute * MINUTE, last, f"{float(last) + 0.02:.2f}", last=last)
    advance(account, market, OPEN + 5 * MINUTE)
    row = SimulatedOrder.objects.get(client_order_id="trailing")
    assert row.watermark_units == units("152.00")
    assert len(fills(account)) == 1
    market.quote(OPEN + 6 * MINUTE, "151.00", "151.02", last="151.00")  # 152.00 - 1.00, met exactly
    advance(account, market, OPEN + 7 * MINUTE)
    assert fills(account)[1].price == Decimal("151.00")


def test_an_order_by_amount_buys_parts_of_a_share_and_never_more_than_the_amount(account, market):
    send(account, market, order(quantity=None, notional=Decimal("1000.00")))
    (fill,) = fills(account)
    # 1,000 / 150.02 = 6.66577789628..., cut after nine decimals
    assert fill.quantity == Decimal("6.665777896")
    assert report(account, "one").quantity == Decimal("6.665777896")
    assert cash(account) == Decimal("99000.00")


def test_a_large_order_takes_a_tenth_of_each_minute_and_works_on(aapl, market):
    volumes = {1: 23_400, 2: 18_000, 3: 41_250, 4: 80_000}
    account = accounts.open(event_id="patient", cash=Decimal(2_000_000), preset="CONSERVATIVE", seed=1, now=OPEN)
    market.rows["AAPL"] = []
    for minute in range(5):
        market.every_step(OPEN + minute * MINUTE, OPEN + minute * MINUTE + 55 * SECOND, "149.98", "150.02")
    market.rows["AAPL"] = [(*row[:4], 100, 100, *row[6:]) for row in market.rows["AAPL"]]
    market.volume_of_last_minute = lambda symbol, *, at: volumes[(at - int(OPEN.timestamp())) // 60]
    send(account, market, order(quantity="10000"), now=OPEN + MINUTE)
    advance(account, market, OPEN + 5 * MINUTE - SECOND)
    assert [fill.quantity for fill in fills(account)] == [2340, 1800, 4125, 1735]
    assert report(account, "one").status is OrderStatus.FILLED


def test_673_shares_are_taken_at_142_80_and_cut_to_670_at_149_18(aapl, account):
    market = ScriptedMarket().quote(OPEN - 20 * timedelta(hours=1), "142.78", "142.80", last="142.80")
    evening = OPEN - timedelta(hours=15)
    (refused,) = send(account, market, order(name="674", quantity="674"), now=evening)
    assert refused.code == "INSUFFICIENT_BUYING_POWER"
    (taken,) = send(account, market, order(quantity="673"), now=evening)
    assert taken.status is OrderStatus.ACCEPTED
    assert venue.account_report(account.account_id).reserved == Decimal("99948.58")
    market.quote(OPEN, "149.10", "149.18", last="149.14")
    advance(account, market, OPEN + SECOND)
    (fill,) = fills(account)
    assert (fill.quantity, fill.price) == (Decimal(670), Decimal("149.18"))
    found = report(account, "one")
    assert (found.status, found.reason_code) == (OrderStatus.CANCELED, "CASH_AT_FILL")
    assert (found.filled_quantity, found.quantity) == (Decimal(670), Decimal(673))
    assert cash(account) == Decimal("49.40")


def test_a_fill_never_takes_the_cash_that_another_order_reserves(aapl, account):
    market = ScriptedMarket().quote(OPEN, "99.98", "100.00")
    send(account, market, limit("50.00", name="resting", quantity="1000"), now=OPEN + MINUTE)
    market.quote(OPEN + 2 * MINUTE, "99.98", "100.00")
    send(account, market, order(quantity="480"), now=OPEN + 3 * MINUTE)
    found = venue.account_report(account.account_id)
    assert (found.cash, found.reserved, found.buying_power) == (52_000, 50_000, 2_000)


# ------------------------------------------------------------------ repeats and refusals


def test_the_same_order_again_is_the_same_order(account, market):
    (first,) = send(account, market, order(quantity="10"))
    (again,) = send(account, market, order(quantity="10.0"), now=OPEN + 2 * MINUTE)
    assert again == first
    assert len(fills(account)) == 1


def test_the_same_id_with_other_content_is_refused_even_after_a_cancel(account, market):
    (first,) = send(account, market, limit("140.00"))
    venue.cancel(account.account_id, first.venue_order_id, now=OPEN + 2 * MINUTE, market=market)
    (refused,) = send(account, market, limit("141.00"), now=OPEN + 3 * MINUTE)
    assert refused.code == "CLIENT_ORDER_ID_REUSED"


def test_a_refused_order_stops_no_other_and_leaves_no_row(account, market):
    answers = send(account, market, order(name="zero", quantity="0"), order(name="good"))
    assert isinstance(answers[0], OrderRejected)
    assert answers[1].status is OrderStatus.FILLED
    assert SimulatedOrder.objects.count() == 1


def test_orders_sent_together_share_the_buying_power(account, market):
    first, second = send(
        account, market, limit("149.00", name="a", quantity="400"), limit("149.00", name="b", quantity="400")
    )
    assert first.status is OrderStatus.ACCEPTED
    assert second.code == "INSUFFICIENT_BUYING_POWER"


def test_shares_promised_to_one_sell_are_not_there_for_another(account, market):
    send(account, market, order(quantity="50"))
    send(account, market, limit("160.00", name="exit", side=Side.SELL, quantity="30"), now=OPEN + 2 * MINUTE)
    (refused,) = send(account, market, order(name="too much", side=Side.SELL, quantity="21"), now=OPEN + 3 * MINUTE)
    assert refused.code == "QUANTITY_HELD"
    (taken,) = send(account, market, order(name="rest", side=Side.SELL, quantity="20"), now=OPEN + 3 * MINUTE)
    assert taken.status is OrderStatus.FILLED


def test_texts_no_database_can_hold_are_refused_like_any_other_mistake(account, market):
    answers = send(account, market, order(name="a\x00b"), order(name="c", symbol="AA\x00PL"))
    assert [each.code for each in answers] == ["CLIENT_ORDER_ID_REUSED", "SYMBOL_UNKNOWN"]


def test_an_account_nobody_opened_is_unknown(aapl, market):
    with pytest.raises(AccountUnknown):
        venue.submit_many(SimulatedAccount().account_id, [order()], now=OPEN, market=market)


def test_an_archived_account_takes_no_orders_and_stays_readable(account, market):
    send(account, market, order())
    accounts.archive(account.account_id, now=OPEN + 2 * MINUTE)
    (refused,) = send(account, market, order(name="late"), now=OPEN + 3 * MINUTE)
    assert refused.code == "ACCOUNT_ARCHIVED"
    assert len(fills(account)) == 1


def test_a_symbol_the_market_does_not_know_has_no_price_to_reckon_with(account):
    (refused,) = send(account, ScriptedMarket(), order())
    assert refused.code == "SYMBOL_NOT_TRADABLE"


# ------------------------------------------------------------------ at once, auctions, expiry


def test_what_an_ioc_cannot_have_at_once_is_canceled(aapl, market):
    account = accounts.open(event_id="ioc", cash=Decimal(90_000), preset="CONSERVATIVE", seed=1, now=OPEN)
    market.rows["AAPL"] = []
    market.volume = 1_000
    market.quote(OPEN, "149.98", "150.02", size=80)
    (found,) = send(account, market, order(quantity="150", time_in_force=TimeInForce.IOC))
    # the larger of 80 shown and a tenth of 1,000 traded: 100
    assert (found.status, found.reason_code) == (OrderStatus.CANCELED, "IOC_REMAINDER")
    assert found.filled_quantity == 100


def test_a_fok_is_all_or_nothing(aapl, market):
    account = accounts.open(event_id="fok", cash=Decimal(90_000), preset="CONSERVATIVE", seed=1, now=OPEN)
    market.rows["AAPL"] = []
    market.volume = 1_000
    market.quote(OPEN, "149.98", "150.02", size=80)
    much, enough = send(
        account,
        market,
        order(name="101", quantity="101", time_in_force=TimeInForce.FOK),
        order(name="100", quantity="100", time_in_force=TimeInForce.FOK),
    )
    assert (much.status, much.filled_quantity) == (OrderStatus.CANCELED, 0)
    assert enough.status is OrderStatus.FILLED


def test_opening_and_closing_orders_trade_at_their_print_alone(account, market):
    evening = OPEN - timedelta(hours=12)
    market.quote(OPEN - timedelta(hours=13), "149.90", "150.10", is_regular=False)
    market.rows["AAPL"] = [row for row in market.rows["AAPL"] if row[0] != int(OPEN.timestamp())]
    market.quote(OPEN, "149.98", "150.02", last="150.01").quote(CLOSE, "151.00", "151.10", last="151.05")
    send(
        account,
        market,
        order(name="open", time_in_force=TimeInForce.OPG),
        order(name="close", time_in_force=TimeInForce.CLS),
        limit("149.00", name="missed", time_in_force=TimeInForce.OPG),
        now=evening,
    )
    advance(account, market, CLOSE)
    assert [(f.client_order_id, f.price, f.executed_at) for f in fills(account)] == [
        ("open", Decimal("150.01"), OPEN),
        ("close", Decimal("151.05"), CLOSE),
    ]
    missed = report(account, "missed")
    assert (missed.status, missed.reason_code) == (OrderStatus.EXPIRED, "AUCTION_MISSED")


def test_a_day_order_expires_at_the_close_and_one_entered_then_is_for_monday(account, market):
    send(account, market, limit("140.00", name="15:59:59"), now=CLOSE - SECOND)
    send(account, market, limit("140.00", name="16:00:00"), now=CLOSE)
    first, second = report(account, "15:59:59"), report(account, "16:00:00")
    assert (first.status, first.reason_code, first.updated_at) == (OrderStatus.EXPIRED, "TIME_IN_FORCE", CLOSE)
    assert (second.status, second.expires_at) == (
        OrderStatus.ACCEPTED,
        datetime(2026, 11, 23, 21, 0, tzinfo=UTC),
    )


def test_a_gtc_order_ends_15_minutes_after_the_close_of_its_90th_day(account, market):
    send(account, market, limit("140.00", time_in_force=TimeInForce.GTC))
    ends = datetime(2027, 2, 18, 21, 15, tzinfo=UTC)
    advance(account, market, ends - SECOND)
    assert report(account, "limit").status is OrderStatus.ACCEPTED
    advance(account, market, ends)
    assert report(account, "limit").status is OrderStatus.EXPIRED


def test_on_the_half_day_orders_end_at_13_00(account, market):
    morning = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
    advance(account, market, morning)
    send(account, market, limit("140.00"), now=morning)
    advance(account, market, datetime(2026, 11, 27, 18, 0, tzinfo=UTC))
    assert report(account, "limit").status is OrderStatus.EXPIRED


def test_only_orders_for_extended_hours_trade_before_the_open(account, market):
    early = OPEN - timedelta(hours=2)
    market.quote(early - MINUTE, "149.90", "150.10", is_regular=False)
    send(
        account,
        market,
        limit("150.10", name="extended", extended_hours=True, quantity="20"),
        limit("150.10", name="regular"),
        now=early,
    )
    (fill,) = fills(account)
    assert (fill.client_order_id, fill.executed_at) == ("extended", early)
    assert report(account, "regular").status is OrderStatus.ACCEPTED


def test_exits_go_before_entries_at_the_same_observation(aapl):
    market = ScriptedMarket().quote(OPEN, "99.98", "100.00")
    account = accounts.open(event_id="full", cash=Decimal(10_000), preset="FRICTIONLESS", seed=1, now=OPEN)
    send(account, market, order(name="all in", quantity="96"), now=OPEN + MINUTE)
    evening = CLOSE + timedelta(hours=1)
    advance(account, market, evening)
    send(account, market, order(name="entry", quantity="3"), now=evening)
    send(account, market, order(name="exit", side=Side.SELL, quantity="50"), now=evening + MINUTE)
    monday = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    market.quote(monday, "99.98", "100.00")
    advance(account, market, monday + SECOND)
    # Sent later, the sale is matched first: both waited for this observation.
    assert [fill.client_order_id for fill in fills(account)] == ["all in", "exit", "entry"]


# ------------------------------------------------------------------ cancel and replace


def test_a_cancel_frees_what_was_reserved(account, market):
    (found,) = send(account, market, limit("149.00"))
    ended = venue.cancel(account.account_id, found.venue_order_id, now=OPEN + 2 * MINUTE, market=market)
    assert (ended.status, ended.reason_code) == (OrderStatus.CANCELED, "CANCELED")
    assert venue.account_report(account.account_id).buying_power == Decimal(100_000)


def test_a_cancel_that_comes_too_late_reports_the_fill(account, market):
    (found,) = send(account, market, limit("149.00"))
    market.quote(OPEN + 2 * MINUTE, "148.90", "148.95")
    late = venue.cancel(account.account_id, found.venue_order_id, now=OPEN + 3 * MINUTE, market=market)
    assert (late.status, late.filled_quantity) == (OrderStatus.FILLED, 10)


def test_a_cancel_of_an_order_that_never_was_is_refused(account, market):
    with pytest.raises(OrderRejected) as refused:
        venue.cancel(account.account_id, "no such order", now=OPEN, market=market)
    assert refused.value.code == "ORDER_UNKNOWN"


def test_with_latency_an_order_works_until_its_cancel_arrives(aapl, market):
    account = accounts.open(event_id="slow", cash=Decimal(50_000), preset="FRICTIONLESS", seed=1, now=OPEN)
    accounts.change_settings(account.account_id, changes={"latency_ms": 60_000})
    (found,) = send(account, market, limit("149.00"))
    assert found.status is OrderStatus.ACCEPTED
    asked = OPEN + 5 * MINUTE
    pending = venue.cancel(account.account_id, found.venue_order_id, now=asked, market=market)
    assert pending.status is OrderStatus.PENDING_CANCEL
    advance(account, market, asked + 59 * SECOND)
    assert report(account, "limit").status is OrderStatus.PENDING_CANCEL
    advance(account, market, asked + 60 * SECOND)
    assert report(account, "limit").status is OrderStatus.CANCELED


def test_a_fill_before_the_cancel_arrives_wins(aapl, market):
    account = accounts.open(event_id="slow", cash=Decimal(50_000), preset="FRICTIONLESS", seed=1, now=OPEN)
    accounts.change_settings(account.account_id, changes={"latency_ms": 60_000})
    (found,) = send(account, market, limit("149.00"))
    asked = OPEN + 5 * MINUTE
    venue.cancel(account.account_id, found.venue_order_id, now=asked, market=market)
    market.quote(asked + 30 * SECOND, "148.90", "148.95")
    advance(account, market, asked + 2 * MINUTE)
    assert report(account, "limit").status is OrderStatus.FILLED


def change(name="new", **fields):
    return OrderChange(client_order_id=name, **fields)


def replaced(account, market, old, now=OPEN + 2 * MINUTE, **fields):
    return venue.replace_order(account.account_id, old.venue_order_id, change(**fields), now=now, market=market)


def test_a_replacement_takes_the_place_of_the_old_order(account, market):
    (old,) = send(account, market, limit("149.00", time_in_force=TimeInForce.GTC))
    new = replaced(account, market, old, limit_price=Decimal("149.50"))
    assert (new.status, new.expires_at) == (OrderStatus.ACCEPTED, old.expires_at)
    before = report(account, "limit")
    assert (before.status, before.reason_code, before.replaced_by) == (OrderStatus.CANCELED, "REPLACED", "new")
    assert venue.account_report(account.account_id).reserved == Decimal("1495.00")


def test_a_refused_replacement_leaves_the_old_order_as_it_was(account, market):
    (old,) = send(account, market, limit("149.00"))
    with pytest.raises(OrderRejected) as refused:
        replaced(account, market, old, quantity=Decimal(1_000))
    assert refused.value.code == "INSUFFICIENT_BUYING_POWER"
    assert report(account, "limit") == old


def test_a_replacement_that_loses_against_a_fill_is_refused(account, market):
    (old,) = send(account, market, limit("149.00"))
    market.quote(OPEN + 90 * SECOND, "148.90", "148.95")
    with pytest.raises(OrderRejected) as refused:
        replaced(account, market, old, limit_price=Decimal("148.00"))
    assert refused.value.code == "ORDER_NOT_OPEN"
    assert report(account, "limit").status is OrderStatus.FILLED


def test_repeating_a_replacement_returns_the_same_new_order(account, market):
    (old,) = send(account, market, limit("149.00"))
    first = replaced(account, market, old, limit_price=Decimal("148.00"))
    again = replaced(account, market, old, now=OPEN + 3 * MINUTE, limit_price=Decimal("148.00"))
    assert again.venue_order_id == first.venue_order_id


# ------------------------------------------------------------------ preview, settings, being behind


def test_a_preview_writes_nothing_and_says_what_it_would_cost(account, market):
    found = venue.preview(account.account_id, limit("149.00"), now=OPEN + MINUTE, market=market)
    assert found.refusals == ()
    assert (found.estimated_price, found.estimated_notional) == (Decimal("149.00"), Decimal("1490.00"))
    assert (found.buying_power, found.buying_power_after) == (Decimal(100_000), Decimal("98510.00"))
    assert not SimulatedOrder.objects.exists()


def test_a_preview_of_a_bad_order_names_what_is_wrong(account, market):
    found = venue.preview(account.account_id, limit("149.001"), now=OPEN + MINUTE, market=market)
    assert [refusal.code for refusal in found.refusals] == ["PRICE_INCREMENT"]
    assert found.estimated_price is None


def test_new_settings_hold_for_later_orders_alone(account, market):
    send(account, market, limit("149.00", name="before"))
    accounts.change_settings(account.account_id, changes={"slippage": {"model": "FIXED_BPS", "bps": "100"}, "fees": []})
    send(account, market, order(name="after"), now=OPEN + 2 * MINUTE)
    versions = dict(SimulatedOrder.objects.values_list("client_order_id", "settings_version"))
    assert versions == {"before": 1, "after": 2}
    assert fills(account)[0].price == Decimal("151.53")  # 150.02 x 1.01 = 151.5202, up to the cent


def test_an_account_a_week_behind_catches_up_in_steps_of_five_sessions(account, market):
    send(account, market, limit("140.00", time_in_force=TimeInForce.GTC))
    later = datetime(2026, 12, 4, 20, 0, tzinfo=UTC)
    with pytest.raises(BrokerUnavailable, match="stands at 2026-11-27 22:00 UTC"):
        send(account, market, order(name="now"), now=later)
    # Friday the 20th and the four sessions of Thanksgiving week, the last one until 17:00; they are kept.
    account.refresh_from_db()
    assert account.matched_until == datetime(2026, 11, 27, 22, 0, tzinfo=UTC)
    (found,) = send(account, market, order(name="now"), now=later)
    assert found.updated_at == later


def test_a_clock_that_is_a_little_behind_the_account_is_taken_for_the_accounts(account, market):
    send(account, market, order(name="first"), now=OPEN + 5 * MINUTE)
    send(account, market, order(name="second"), now=OPEN + 4 * MINUTE)
    assert report(account, "second").updated_at == OPEN + 5 * MINUTE


def test_times_of_expiry_are_dates_of_new_york(account, market):
    send(
        account,
        market,
        limit("140.00", time_in_force=TimeInForce.GTD, expires_on=date(2026, 11, 23)),
    )
    assert report(account, "limit").expires_at == datetime(2026, 11, 23, 21, 0, tzinfo=UTC)


def test_an_order_by_amount_frees_its_reserve_as_it_spends(aapl, market):
    account = accounts.open(event_id="parts", cash=Decimal(90_000), preset="CONSERVATIVE", seed=1, now=OPEN)
    market.rows["AAPL"] = []
    market.volume = 100
    for minute in range(1, 4):
        market.quote(OPEN + minute * MINUTE, "99.98", "100.00", size=10)
    send(account, market, order(quantity=None, notional=Decimal("2500.00")))
    spent, left = [], []
    for minute in range(1, 4):
        advance(account, market, OPEN + minute * MINUTE + SECOND)
        spent.append(fills(account)[-1].quantity)
        left.append(venue.account_report(account.account_id).reserved)
    # ten shares a minute at 100.05: 1,000.50 and again, then the 499.00 that are left
    assert spent == [Decimal(10), Decimal(10), Decimal("4.987506246")]
    assert left == [Decimal("1499.50"), Decimal("499.00"), Decimal(0)]
    assert report(account, "one").status is OrderStatus.FILLED


def test_what_other_orders_took_of_a_minute_is_counted_once_however_the_account_got_here(aapl, market):
    account = accounts.open(event_id="busy", cash=Decimal(90_000), preset="CONSERVATIVE", seed=1, now=OPEN)
    market.rows["AAPL"] = []
    market.volume = 1_000  # a hundred shares a minute
    market.quote(OPEN, "99.98", "100.00", size=10)
    market.quote(OPEN + 2 * MINUTE, "98.98", "99.00", size=10)
    at = OPEN + 2 * MINUTE + 30 * SECOND
    send(account, market, order(name="first", quantity="30"), now=OPEN + 2 * MINUTE)
    send(account, market, limit("98.99", name="resting", quantity="20"), now=OPEN + 2 * MINUTE + SECOND)
    market.quote(OPEN + 2 * MINUTE + 10 * SECOND, "98.90", "98.95", size=10)
    # The resting order fills on the way to this one; 30 and 20 of the minute's 100 are gone.
    send(account, market, order(name="last", quantity="60"), now=at)
    assert [(f.client_order_id, f.quantity) for f in fills(account)] == [("first", 30), ("resting", 20), ("last", 50)]
