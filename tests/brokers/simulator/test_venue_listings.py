"""Two instruments with one ticker: orders, prices and the stored market mean the same one."""

from datetime import timedelta
from decimal import Decimal

from brokers.enums import InstrumentKind, OrderStatus
from brokers.market_data import prices
from brokers.models import Instrument, LatestPrice, SimulatedOrder
from brokers.simulator.stored_prices import StoredPrices

from .orders import order, send
from .scripted import OPEN

NOW = OPEN + timedelta(minutes=1)


def test_a_share_trades_and_is_priced_beside_an_older_instrument_of_another_kind(aapl, account, market):
    # The other kind gets the lower id: it was listed first.
    Instrument.objects.create(pk=aapl.pk - 1_000, symbol="AAPL", kind=InstrumentKind.CFD, multiplier=10)
    (found,) = send(account, market, order(), now=NOW)
    assert found.status is OrderStatus.FILLED
    assert SimulatedOrder.objects.get().instrument == aapl
    LatestPrice.objects.create(
        instrument=aapl, last=Decimal("150.00"), last_as_of=NOW, source="written:TRADE", updated_at=NOW
    )
    assert prices.stored(["AAPL"], NOW)["AAPL"].instrument_id == aapl.pk
    at = int((NOW + timedelta(seconds=1)).timestamp())
    assert StoredPrices().observation_at("AAPL", at=at).last[0] == 150_000_000
