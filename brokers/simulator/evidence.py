"""Why a fill is what it is: one JSON per fill, from which its price and costs can be worked out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from brokers.enums import InstrumentKind, Side
from brokers.instruments import IncrementRule
from brokers.simulator import slippage
from brokers.simulator.chance import Stream
from brokers.simulator.commission import (
    Costs,
    FeeCharge,
    FeeRow,
    SessionCharges,
    TradedQuantity,
    charge,
)
from brokers.simulator.liquidity import Allowance
from brokers.simulator.matching import MarketBar, Observation, Rule, Verdict, final_price
from brokers.simulator.presets import (
    CommissionPlan,
    SimulationSettings,
    SlippagePlan,
    plan_from_json,
    plan_to_json,
)

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FillFacts:
    """Everything that decided one fill."""

    verdict: Verdict
    look: Observation | MarketBar
    settings: SimulationSettings
    settings_version: int
    slippage_plan: SlippagePlan
    slice: slippage.Slice
    slippage_units: int
    allowance: Allowance
    draws: Sequence[tuple[Stream, int, int]]
    increments: IncrementRule
    unrounded_units: int
    traded: TradedQuantity
    commission_plan: CommissionPlan
    before: SessionCharges
    costs: Costs


def evidence(facts: FillFacts) -> dict[str, Any]:
    """
    Return a fill's evidence as JSON values: integers as decimal strings, times in ISO 8601.

    `draws` are (stream, attempt, value).
    """
    verdict, traded = facts.verdict, facts.traded
    return {
        "version": VERSION,
        "rule": str(verdict.rule),
        "preset": facts.settings.preset,
        "settings_version": facts.settings_version,
        "side": str(traded.side),
        "observation": _look(facts.look),
        "reference": str(verdict.reference_units),
        "base": str(verdict.base_units),
        "half_spread": str(verdict.half_spread_units),
        "limit": _text(verdict.limit_units),
        "at_limit": verdict.at_limit,
        "slippage": _slippage(facts),
        "liquidity": {
            "model": str(facts.settings.liquidity),
            "v": _text(facts.slice.volume),
            "allowed": _text(facts.allowance.allowed_units),
            "used": str(facts.allowance.used_units),
        },
        "draws": [
            {"stream": int(stream), "attempt": str(attempt), "value": str(value)}
            for stream, attempt, value in facts.draws
        ],
        "increment": str(facts.increments.at(facts.unrounded_units)),
        "increments": {
            "threshold": str(facts.increments.threshold_units),
            "below": str(facts.increments.below_units),
            "from": str(facts.increments.from_units),
        },
        "unrounded": str(facts.unrounded_units),
        "price": str(traded.price_units),
        "commission": _commission(facts),
        "fees": [_fee(fee) for fee in facts.costs.fees],
        "charged_before": _charges(facts.before),
    }


def recompute(evidence: Mapping[str, Any]) -> tuple[int, int, int]:
    """
    Return (price, commission, fees) of a fill in units, worked out from its evidence alone.

    Nothing that was computed is taken over, only what was seen, drawn or set.
    """
    price, costs = _price(evidence), _costs(evidence)
    return price, costs.commission_units, costs.fees_units


def charges_after(evidence: Mapping[str, Any]) -> SessionCharges:
    """Return an order's charges of the session with this fill: the base of its next charge."""
    return _costs(evidence).charges


# ---------------------------------------------------------------------- reading it back


def _price(evidence: Mapping[str, Any]) -> int:
    said, side = evidence["slippage"], Side(evidence["side"])
    known = said["inputs"]
    amount = 0
    if not evidence["at_limit"]:
        part = slippage.Slice(
            reference_units=int(evidence["reference"]),
            spread_units=int(known["spread"]),
            quantity_units=int(known["quantity"]),
            filled_units=int(known["filled"]),
            volume=_number(known["volume"]),
            daily_deviation=None if known["daily_deviation"] is None else Decimal(known["daily_deviation"]),
            average_daily_volume=_number(known["average_daily_volume"]),
        )
        plan = plan_from_json(SlippagePlan, {"model": said["model"], **said["parameters"]})
        amount = slippage.slippage_units(plan, part)
    verdict = Verdict(
        rule=Rule(evidence["rule"]),
        base_units=int(evidence["base"]),
        limit_units=_number(evidence["limit"]),
        at_limit=evidence["at_limit"],
    )
    steps = evidence["increments"]
    increments = IncrementRule(
        threshold_units=int(steps["threshold"]),
        below_units=int(steps["below"]),
        from_units=int(steps["from"]),
    )
    return final_price(verdict, side=side, slippage_units=amount, increments=increments)[1]


def _costs(evidence: Mapping[str, Any]) -> Costs:
    said = evidence["commission"]
    traded = TradedQuantity(
        kind=InstrumentKind(said["kind"]),
        side=Side(evidence["side"]),
        quantity_units=int(said["quantity"]),
        price_units=_price(evidence),
        multiplier=int(said["multiplier"]),
        month_units=int(said["month"]),
    )
    earlier = evidence["charged_before"]
    before = SessionCharges(
        quantity_units=int(earlier["quantity"]),
        notional_exact=int(earlier["notional_exact"]),
        commission_exact=int(earlier["commission_exact"]),
        commission_units=int(earlier["commission"]),
        fees_units={name: int(amount) for name, amount in earlier["fees"].items()},
    )
    plan = plan_from_json(CommissionPlan, said["plan"])
    return charge(plan, traded, before=before, rows=[_row(fee) for fee in evidence["fees"]])


def _row(fee: Mapping[str, Any]) -> tuple[FeeRow, bool]:
    row = FeeRow(
        name=fee["name"],
        valid_from=date.fromisoformat(fee["valid_from"]),
        rate=Decimal(fee["rate"]),
        cap=None if fee["cap"] is None else Decimal(fee["cap"]),
    )
    return row, fee["before_first_row"]


# ---------------------------------------------------------------------- writing it down


def _look(look: Observation | MarketBar) -> dict[str, Any]:
    as_of = datetime.fromtimestamp(look.at, tz=UTC).isoformat()
    origin = {"as_of": as_of, "source": look.source, "market_identity": look.market_identity}
    if isinstance(look, MarketBar):
        prices = {
            "kind": "BAR",
            "o": str(look.open_units),
            "h": str(look.high_units),
            "l": str(look.low_units),
            "c": str(look.close_units),
            "v": _text(look.volume),
        }
    else:
        prices = {
            "kind": "QUOTE",
            "bid": str(look.bid_units),
            "ask": str(look.ask_units),
            "bid_size": _text(look.bid_size),
            "ask_size": _text(look.ask_size),
            "last": str(look.last_units),
        }
    return prices | origin


def _slippage(facts: FillFacts) -> dict[str, Any]:
    parameters = dict(plan_to_json(facts.slippage_plan))
    part = facts.slice
    return {
        "model": parameters.pop("model"),
        "version": slippage.VERSION,
        "parameters": parameters,
        "inputs": {
            "spread": str(part.spread_units),
            "quantity": str(part.quantity_units),
            "filled": str(part.filled_units),
            "volume": _text(part.volume),
            "daily_deviation": _text(part.daily_deviation),
            "average_daily_volume": _text(part.average_daily_volume),
        },
        "assumed": list(slippage.assumed(facts.slippage_plan, part)),
        "amount": str(facts.slippage_units),
    }


def _commission(facts: FillFacts) -> dict[str, Any]:
    traded = facts.traded
    return {
        "plan": dict(plan_to_json(facts.commission_plan)),
        "kind": str(traded.kind),
        "quantity": str(traded.quantity_units),
        "multiplier": str(traded.multiplier),
        "month": str(traded.month_units),
        "amount": str(facts.costs.commission_units),
    }


def _fee(fee: FeeCharge) -> dict[str, Any]:
    return {
        "name": str(fee.name),
        "rate": format(fee.rate, "f"),
        "cap": _text(fee.cap),
        "valid_from": fee.valid_from.isoformat(),
        "before_first_row": fee.before_first_row,
        "amount": str(fee.amount_units),
    }


def _charges(charges: SessionCharges) -> dict[str, Any]:
    return {
        "quantity": str(charges.quantity_units),
        "notional_exact": str(charges.notional_exact),
        "commission_exact": str(charges.commission_exact),
        "commission": str(charges.commission_units),
        "fees": {str(name): str(amount) for name, amount in charges.fees_units.items()},
    }


def _text(value: int | Decimal | None) -> str | None:
    if value is None:
        return None
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
