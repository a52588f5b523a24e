"""
The real spring of 2020 in the replay market: true highs and lows, and a stop that fills at the gap.

SPY closed at 297.51 on 2020-02-27, its low of the day, and opened at 288.62 on 2020-02-28. A sell stop at
296.00 therefore wakes at the open: the bid is 288.62 less the opening's half spread of 4 bps (0.115448), down
to 288.50; 5 bps of slippage (0.14425) take it to 288.35575, down to 288.35.
"""

import csv
import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from brokers.enums import OrderType, Side, Timeframe, TimeInForce
from brokers.market_data import calendar, imports, sources
from brokers.models import Bar
from brokers.money import money_units
from brokers.simulator import evidence
from monitoring import tick
from portfolio import books, orders, portfolios, rebuild
from portfolio.models import Fill, Portfolio, Trade

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "us_equities_daily.csv.gz"
FEBRUARY_20 = datetime(2020, 2, 20, 16, 0, tzinfo=UTC)
GAP_OPEN = datetime(2020, 2, 28, 14, 30, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the real bars are not beside this checkout")


@pytest.fixture
def spring(db, settings, tmp_path):
    """Import SPY and AAPL of these years and replay them."""
    piece = tmp_path / "spring.csv"
    with gzip.open(DATA, "rt") as source, piece.open("w") as target:
        rows = csv.reader(source)
        writer = csv.writer(target)
        writer.writerow(next(rows))
        writer.writerows(row for row in rows if row[1] in ("SPY", "AAPL") and "2019-06" <= row[0] <= "2020-06")
    imports.import_bars(piece, timeframe=Timeframe.DAY, source="test")
    settings.REPLAY_BARS = "imported"
    sources.list_instruments()
    return sources.replay_market()


def test_every_day_has_its_true_extremes(spring):
    for symbol in ("SPY", "AAPL"):
        bars = Bar.objects.filter(instrument__symbol=symbol, session_date__range=("2020-02-03", "2020-04-30"))
        assert bars.count() == 62
        for bar in bars:
            session = calendar.session(bar.session_date)
            seen = spring.observations(
                symbol, after=int(session.open.timestamp()) - 1, until=int(session.close.timestamp())
            )
            last = seen.last[seen.is_regular]
            assert np.array([last[0], last.max(), last.min(), last[-1]]).tolist() == [
                int(value * 10**6) for value in (bar.open, bar.high, bar.low, bar.close)
            ]


def test_a_gtc_stop_placed_before_the_crash_fills_at_the_gap(spring, alice):
    desk = portfolios.open(user=alice, name="Spring", cash=Decimal(100_000), actor="test", now=FEBRUARY_20)
    buy = orders.OrderIntent(
        portfolio=desk, origin="MANUAL", intent_key="buy", symbol="SPY", side=Side.BUY,
        order_type=OrderType.MARKET, quantity=Decimal(50), actor="test",
    )  # fmt: skip
    stop = orders.OrderIntent(
        portfolio=desk, origin="MANUAL", intent_key="stop", symbol="SPY", side=Side.SELL,
        order_type=OrderType.STOP, stop_price=Decimal("296.00"), time_in_force=TimeInForce.GTC,
        quantity=Decimal(50), actor="test",
    )  # fmt: skip
    orders.submit([buy], now=FEBRUARY_20)
    orders.sync([desk], now=FEBRUARY_20)
    (resting,) = orders.submit([stop], now=FEBRUARY_20 + timedelta(minutes=1))
    live_until(desk, GAP_OPEN - timedelta(seconds=1))
    resting.refresh_from_db()
    assert resting.status == "ACCEPTED"
    live_until(desk, GAP_OPEN + timedelta(minutes=1))
    fill = Fill.objects.get(order=resting)
    assert (fill.price, fill.quantity, fill.executed_at) == (Decimal("288.35"), 50, GAP_OPEN)
    assert evidence.recompute(fill.evidence) == tuple(
        money_units(value) for value in (fill.price, fill.commission, fill.fees)
    )
    assert Trade.objects.get().status == "CLOSED"
    assert books.check([desk]).differences == []
    assert rebuild.compare(Portfolio.objects.get()) == []


def live_until(desk: Portfolio, moment: datetime) -> None:
    """Tick daily, as a desk that was down in between would catch up."""
    desk.refresh_from_db()
    at = desk.synced_until
    while at < moment:
        at = min(at + timedelta(days=1), moment)
        tick.run([Portfolio.objects.get(pk=desk.pk)], now=at)
