"""What may be ordered: every refusal at once, each with code, measured value and limit. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from brokers.errors import Refusal
from portfolio.enums import TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits as people type them: percentages of equity (20 is 20 %), money, counts. None is off."""

    position_percent: Decimal | None = None
    symbol_warn_percent: Decimal | None = None
    sector_percent: Decimal | None = None
    trades_per_day: int | None = None
    halt_equity_percent: Decimal | None = None
    daily_loss: Decimal | None = None
    order_value_max: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    What is wanted, and where the portfolio stands. Money in the portfolio's currency; values are absolute.

    `value` is None when no price is known; `equity` is None while a position has no mark.
    """

    portfolio: str
    state: TradingState
    state_reason: str
    symbol: str
    sector: str
    is_closing: bool
    is_guard: bool
    value: Decimal | None
    equity: Decimal | None
    put_in: Decimal
    symbol_value: Decimal
    sector_value: Decimal
    trades_today: int
    day_pnl: Decimal | None
    price_problem: str = ""


def check(proposal: Proposal, limits: Limits) -> tuple[Refusal, ...]:
    """
    List every limit the proposal breaks; an empty tuple lets it pass. A value exactly at its limit passes.

    What closes is held back only by a halt; a guard's exit by nothing.
    """
    if proposal.is_guard and proposal.is_closing:
        return ()
    return tuple(refusals(proposal, limits))


def refusals(proposal: Proposal, limits: Limits) -> Iterator[Refusal]:
    yield from state_refusals(proposal)
    if proposal.is_closing:
        return
    if proposal.value is None:
        yield Refusal(
            "PRICE_UNAVAILABLE",
            f"{proposal.symbol} cannot be bought or sold now. {proposal.price_problem or 'Its price is unknown.'}",
        )
    yield from order_value(proposal, limits)
    yield from shares_of_equity(proposal, limits)
    yield from daily(proposal, limits)


def state_refusals(proposal: Proposal) -> Iterator[Refusal]:
    because = f" ({proposal.state_reason})" if proposal.state_reason else ""
    if proposal.state == TradingState.HALTED:
        yield Refusal(
            "TRADING_HALTED",
            f"{proposal.portfolio} is halted{because}. Cancels still work; resume it to trade.",
            "HALTED",
            "ACTIVE",
        )
    elif proposal.state == TradingState.REDUCING and not proposal.is_closing:
        yield Refusal(
            "REDUCE_ONLY",
            f"{proposal.portfolio} only takes orders that reduce a position{because}.",
            "REDUCING",
            "ACTIVE",
        )


def order_value(proposal: Proposal, limits: Limits) -> Iterator[Refusal]:
    if limits.order_value_max is None or proposal.value is None or proposal.value <= limits.order_value_max:
        return
    yield Refusal(
        "NOTIONAL_EXCEEDS_LIMIT",
        f"Order value {money(proposal.value)} is above this portfolio's maximum of {money(limits.order_value_max)}.",
        money(proposal.value),
        money(limits.order_value_max),
    )


def shares_of_equity(proposal: Proposal, limits: Limits) -> Iterator[Refusal]:
    """Position and sector after the order, as percent of equity."""
    if proposal.value is None:
        return
    if proposal.equity is None:
        if limits.position_percent is None and (limits.sector_percent is None or not proposal.sector):
            return
        yield Refusal(
            "EQUITY_UNKNOWN",
            "A position has no price now, so equity and its limits cannot be judged. Try again shortly.",
        )
        return
    for code, percent, held, what in (
        ("POSITION_EXCEEDS_LIMIT", limits.position_percent, proposal.symbol_value, proposal.symbol),
        ("SECTOR_EXCEEDS_LIMIT", limits.sector_percent, proposal.sector_value, f"Sector {proposal.sector}"),
    ):
        if percent is None or (code.startswith("SECTOR") and not proposal.sector):
            continue
        after = held + proposal.value
        if after * 100 > percent * proposal.equity:
            measured = share(after, proposal.equity)
            yield Refusal(
                code,
                f"{what} would be {measured} of equity ({money(after)} of {money(proposal.equity)}); "
                f"the limit is {percent.normalize():f} %.",
                measured,
                f"{percent.normalize():f} %",
            )


def daily(proposal: Proposal, limits: Limits) -> Iterator[Refusal]:
    if limits.trades_per_day is not None and proposal.trades_today >= limits.trades_per_day:
        yield Refusal(
            "TRADES_PER_DAY",
            f"{proposal.trades_today} trades were opened today; the limit is {limits.trades_per_day} a day.",
            str(proposal.trades_today),
            str(limits.trades_per_day),
        )
    loss = -proposal.day_pnl if proposal.day_pnl is not None else Decimal(0)
    if limits.daily_loss is not None and loss >= limits.daily_loss:
        yield Refusal(
            "DAILY_LOSS",
            f"Today's loss is {money(loss)}; the limit is {money(limits.daily_loss)}.",
            money(loss),
            money(limits.daily_loss),
        )
    if limits.halt_equity_percent is not None and proposal.equity is not None:
        floor = proposal.put_in * limits.halt_equity_percent / 100
        if proposal.equity <= floor:
            yield Refusal(
                "EQUITY_BELOW_FLOOR",
                f"Equity {money(proposal.equity)} is at or below {limits.halt_equity_percent.normalize():f} % "
                f"of the {money(proposal.put_in)} put in.",
                money(proposal.equity),
                money(floor),
            )


def warnings(proposal: Proposal, limits: Limits) -> tuple[str, ...]:
    """Sentences that accompany an order without refusing it."""
    percent = limits.symbol_warn_percent
    if proposal.is_closing or percent is None or proposal.value is None or not proposal.equity:
        return ()
    after = proposal.symbol_value + proposal.value
    if after * 100 <= percent * proposal.equity:
        return ()
    return (
        f"{proposal.symbol} would be {share(after, proposal.equity)} of equity, more than the "
        f"{percent.normalize():f} % you want to be warned at.",
    )


def money(value: Decimal) -> str:
    return f"{value:,.2f}"


def share(part: Decimal, whole: Decimal) -> str:
    return f"{part * 100 / whole:.1f} %" if whole > 0 else "more than all"
