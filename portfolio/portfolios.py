"""Open portfolios, move money, change their trading state, archive and reset them."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from brokers import registry
from brokers.enums import FINAL_STATUSES, Environment, Venue
from portfolio import journal, orders
from portfolio.enums import TradingState
from portfolio.journal import Fact
from portfolio.models import Order, Portfolio, RiskLimits, User

CASH_MAX = Decimal(1_000_000_000)


class NameTaken(ValueError):
    """The user has a portfolio of this name already."""


class StateUnchanged(ValueError):
    """The portfolio is archived, or not in a state this can change; the message says which."""


def open(
    *,
    user: User,
    name: str,
    cash: Decimal,
    preset: str = "CONSERVATIVE",
    key: str = "",
    actor: str,
    now: datetime,
) -> Portfolio:
    """
    Open a paper portfolio at the simulated venue with its first deposit and default limits.

    The same `key` opens one portfolio, however often it is sent and wherever it was interrupted. Raises
    NameTaken, or ValueError with a sentence for a name or an amount that cannot be.
    """
    name = checked_name(name)
    check_cash(cash)
    mine = Portfolio.objects.for_user(user)
    event_id = f"open:{user.pk}:{key or f'{mine.count() + 1}:{name}:{now.isoformat()}'}"
    portfolio = mine.filter(account_id=registry.account_id_of(event_id)).first()
    if portfolio is None:
        if mine.filter(name=name, archived_at__isnull=True).exists():
            raise NameTaken(f"You already have a portfolio called {name}.")
        account = registry.open_account(event_id=event_id, cash=cash, preset=preset, seed=luck(event_id), now=now)
        began = registry.opened_at(account)  # an interrupted opening goes on from where the venue stands
        portfolio = write_portfolio(user, name, cash, preset, account.account_id, actor=actor, now=began)
    orders.sync([portfolio], now=now)
    portfolio.refresh_from_db()
    return portfolio


def luck(event_id: str) -> int:
    """The seed of an account's random draws: 62 bits from this desk's id and the opening."""
    return int.from_bytes(hashlib.sha256(f"{settings.DESK_ID}|{event_id}".encode()).digest()[:8]) >> 2


def write_portfolio(
    user: User, name: str, cash: Decimal, preset: str, account_id: str, *, actor: str, now: datetime
) -> Portfolio:
    try:
        with transaction.atomic():
            portfolio = Portfolio.objects.create(
                user=user,
                name=name,
                venue=Venue.SIMULATOR,
                environment=Environment.PAPER,
                account_id=account_id,
                initial_cash=cash,
                opened_at=now,
                synced_until=now,
            )
            RiskLimits.objects.create(user=user, portfolio=portfolio)
            record(portfolio, "portfolio.opened", actor=actor, now=now, data={"cash": cash, "preset": preset})
    except IntegrityError as error:
        made = Portfolio.objects.for_user(user).filter(account_id=account_id).first()
        if made is not None:
            return made  # the same wish, sent twice at once
        raise NameTaken(f"You already have a portfolio called {name}.") from error
    return portfolio


def checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 60:
        raise ValueError("A portfolio's name has 1 to 60 characters.")
    if not name.isprintable():
        raise ValueError("A portfolio's name cannot hold control characters.")
    return name


def check_cash(amount: Decimal) -> None:
    if not amount.is_finite() or not 0 < amount <= CASH_MAX:
        raise ValueError(f"The amount must be above 0 and at most {CASH_MAX:,.0f}, not {amount}.")
    if amount != amount.quantize(Decimal("0.01")):
        raise ValueError(f"The amount has parts of a cent: {amount}.")


# Money -------------------------------------------------------------------------------------------------


def deposit(portfolio: Portfolio, *, amount: Decimal, key: str, actor: str, now: datetime) -> None:
    """Ask the venue for a deposit and book it from its activity; the same `key` deposits once."""
    move_money(portfolio, registry.deposit, amount=amount, key=key, now=now)


def withdraw(portfolio: Portfolio, *, amount: Decimal, key: str, actor: str, now: datetime) -> None:
    """Ask the venue for a withdrawal; it refuses, with a sentence, what working orders hold."""
    move_money(portfolio, registry.withdraw, amount=amount, key=key, now=now)


def move_money(portfolio: Portfolio, ask: Callable[..., Any], *, amount: Decimal, key: str, now: datetime) -> None:
    check_cash(amount)
    require_open(portfolio)
    ask(orders.account_key(portfolio), amount=amount, event_id=key, now=now)
    orders.sync([portfolio], now=now)
    portfolio.refresh_from_db()


# Trading state -----------------------------------------------------------------------------------------


def halt(portfolio: Portfolio, *, reason: str, actor: str, now: datetime) -> Portfolio:
    """Nothing new; cancels pass, nothing is closed."""
    return set_state(portfolio, TradingState.HALTED, reason=reason, actor=actor, now=now)


def reduce(portfolio: Portfolio, *, reason: str, actor: str, now: datetime) -> Portfolio:
    """Only orders that reduce a position."""
    return set_state(portfolio, TradingState.REDUCING, reason=reason, actor=actor, now=now)


def resume(portfolio: Portfolio, *, actor: str, now: datetime) -> Portfolio:
    return set_state(portfolio, TradingState.ACTIVE, reason="", actor=actor, now=now)


EVENTS = {
    TradingState.HALTED: "portfolio.halted",
    TradingState.REDUCING: "portfolio.reducing",
    TradingState.ACTIVE: "portfolio.resumed",
}


def set_state(portfolio: Portfolio, state: TradingState, *, reason: str, actor: str, now: datetime) -> Portfolio:
    """Set the trading state, with who and why in the journal; setting the same again changes nothing."""
    require_open(portfolio)
    with transaction.atomic():
        row = Portfolio.objects.select_for_update(no_key=True).get(pk=portfolio.pk)
        if row.trading_state != state:
            Portfolio.objects.filter(pk=row.pk).update(
                trading_state=state,
                state_reason=reason.strip()[:200],
                state_changed_at=now,
                version=F("version") + 1,
            )
            data = {"from": row.trading_state, "reason": reason.strip()[:200]}
            record(row, EVENTS[state], actor=actor, now=now, data=data)
    portfolio.refresh_from_db()
    return portfolio


# End of life -------------------------------------------------------------------------------------------


def archive(portfolio: Portfolio, *, actor: str, now: datetime) -> Portfolio:
    """Cancel what works, close the account at the venue, keep everything readable for ever."""
    require_open(portfolio)
    working = list(Order.objects.filter(portfolio=portfolio).exclude(status__in=FINAL_STATUSES))
    orders.cancel(working, actor=actor, now=now)
    registry.archive(orders.account_key(portfolio), now=now)
    orders.sync([portfolio], now=now)
    with transaction.atomic():
        claimed = Portfolio.objects.filter(pk=portfolio.pk, archived_at__isnull=True).update(
            archived_at=now, version=F("version") + 1
        )
        if claimed:
            record(portfolio, "portfolio.archived", actor=actor, now=now, data={})
    portfolio.refresh_from_db()
    return portfolio


def reset(portfolio: Portfolio, *, cash: Decimal, preset: str = "CONSERVATIVE", actor: str, now: datetime) -> Portfolio:
    """Archive a portfolio and open a fresh one of the same name; nothing is deleted."""
    check_cash(cash)
    name = portfolio.name
    archive(portfolio, actor=actor, now=now)
    return open(user=portfolio.user, name=name, cash=cash, preset=preset, actor=actor, now=now)


def require_open(portfolio: Portfolio) -> None:
    if portfolio.archived_at is not None:
        raise StateUnchanged(f"{portfolio.name} is archived; it can be read and exported, not changed.")


def record(portfolio: Portfolio, name: str, *, actor: str, now: datetime, data: dict[str, Any]) -> None:
    journal.record(
        [
            Fact(
                name=name,
                subject=f"portfolio:{portfolio.pk}",
                user_id=portfolio.user_id,
                portfolio_id=portfolio.pk,
                at=now,
                actor=actor,
                data=data,
            )
        ]
    )
