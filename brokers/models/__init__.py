"""Rows without an owner: instruments, market data, the simulated venue's own book."""

from brokers.models.instrument import CorporateAction, Instrument, InstrumentAlias
from brokers.models.market import Bar, ImportRowError, ImportRun, LatestPrice, ReplayAnchor
from brokers.models.simulated import (
    FeeRate,
    SimulatedAccount,
    SimulatedActivity,
    SimulatedFill,
    SimulatedOrder,
    SimulatedPosition,
)

__all__ = [
    "Bar",
    "CorporateAction",
    "FeeRate",
    "ImportRowError",
    "ImportRun",
    "Instrument",
    "InstrumentAlias",
    "LatestPrice",
    "ReplayAnchor",
    "SimulatedAccount",
    "SimulatedActivity",
    "SimulatedFill",
    "SimulatedOrder",
    "SimulatedPosition",
]
