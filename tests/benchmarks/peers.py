"""Other people's matching engines, where they are installed: one market order a bar through backtrader."""

from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any

from .measure import Outcome, Timing, Way

BACKTRADER = "backtrader, one market order a bar"
ORDERS_MAX = 2_000  # it takes a third of a millisecond and more for each


def ways(count: int) -> list[Way]:
    """Return the peers that are installed, with at most 2,000 orders each."""
    if find_spec("backtrader") is None:
        return []
    size = min(count, ORDERS_MAX)
    return [Way(name=BACKTRADER, size=size, run=lambda _: run_backtrader(size))]


def missing() -> list[str]:
    """Say which peers were skipped; a ratio is never made from another run's number."""
    found = [] if find_spec("backtrader") else ["backtrader is not installed: skipped."]
    return [*found, "NautilusTrader needs an environment of its own and was not run: skipped."]


def check(outcome: Outcome, timing: Timing) -> None:
    """Each order fills at the open of the next bar: the nth at n + 2."""
    expected = [float(number + 2) for number in range(timing.size)]
    outcome.must_equal(timing.answers[0], expected, f"{timing.size:,} fill prices of {timing.name}")


def run_backtrader(count: int) -> list[float]:
    """Buy one share on each of `count` bars whose opens are 1, 2, 3, …; return the prices of the fills."""
    import backtrader as bt
    import pandas as pd

    index = [datetime(2000, 1, 3) + timedelta(days=number) for number in range(count + 2)]
    opens = [float(number + 1) for number in range(count + 2)]
    frame = pd.DataFrame(
        {"open": opens, "high": opens, "low": opens, "close": opens, "volume": 1e6}, index=pd.DatetimeIndex(index)
    )
    prices: list[float] = []

    class BuyEveryBar(bt.Strategy):
        def next(self) -> None:
            if len(self) <= count:
                self.buy(size=1)

        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                prices.append(order.executed.price)

    engine = bt.Cerebro(stdstats=False)
    engine.adddata(bt.feeds.PandasData(dataname=frame))
    engine.addstrategy(BuyEveryBar)
    engine.broker.setcash(1e12)
    engine.run()
    return prices
