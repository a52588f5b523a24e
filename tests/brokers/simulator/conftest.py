from datetime import timedelta
from decimal import Decimal

import pytest

from brokers.enums import InstrumentKind
from brokers.models import Instrument
from brokers.simulator import accounts

from .scripted import OPEN, ScriptedMarket


@pytest.fixture
def aapl(db):
    return Instrument.objects.create(symbol="AAPL", kind=InstrumentKind.EQUITY, is_fractionable=True)


@pytest.fixture
def market():
    """Yesterday's last print 150.00; 149.98 at 150.02 from the open on."""
    yesterday = OPEN - timedelta(hours=20)
    return ScriptedMarket().quote(yesterday, "149.90", "150.10").quote(OPEN, "149.98", "150.02")


@pytest.fixture
def account(aapl):
    """100,000.00 in cash under FRICTIONLESS, so that a test sees only what it is about."""
    return accounts.open(
        event_id="test account",
        cash=Decimal("100000"),
        preset="FRICTIONLESS",
        seed=7,
        now=OPEN - timedelta(hours=20),
    )
