"""
Every adapter under one suite: what each must bring is a desk of its own kind.

A desk opens an account with 100,000.00 at an open market of 149.98 x 150.02 in AAPL, hands out its Broker
as of any moment, and can move the market. Adapters of real venues bring theirs with a fake server.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from brokers.enums import InstrumentKind
from brokers.interface import Broker
from brokers.models import Instrument, SimulatedAccount
from brokers.simulator import accounts
from brokers.simulator.adapter import SimulatedBroker
from tests.brokers.simulator.scripted import OPEN, ScriptedMarket


@dataclass
class SimulatorDesk:
    """The simulated venue over a scripted market."""

    account: SimulatedAccount
    market: ScriptedMarket
    now: datetime = OPEN + timedelta(minutes=1)
    later: list[datetime] = field(default_factory=list)

    @property
    def account_id(self) -> str:
        return str(self.account.account_id)

    def broker(self) -> Broker:
        return SimulatedBroker(self.account_id, now=self.now, market=self.market)

    def move(self, bid: str, ask: str) -> None:
        """Let a minute pass and a new quote stand."""
        self.now += timedelta(minutes=1)
        self.market.quote(self.now - timedelta(seconds=30), bid, ask)

    def deposit(self, amount: Decimal) -> None:
        accounts.deposit(self.account.account_id, amount=amount, event_id="more", now=self.now)


@pytest.fixture(params=["simulator"])
def desk(request, db):
    Instrument.objects.create(symbol="AAPL", kind=InstrumentKind.EQUITY, is_fractionable=True)
    account = accounts.open(
        event_id="contract", cash=Decimal(100_000), preset="FRICTIONLESS", seed=3, now=OPEN - timedelta(hours=1)
    )
    return SimulatorDesk(account, ScriptedMarket().quote(OPEN, "149.98", "150.02"))
