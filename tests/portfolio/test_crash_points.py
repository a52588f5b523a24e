"""
The process dies at every commit, on either side of it; after a restart the desk stands as if it had not.

Each story is played once undisturbed to learn its result and count its commits, then once for each side of
each commit with a death there, a restart and, as a person would, the same presses again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from unittest import mock

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from brokers.enums import OrderType, Side, TimeInForce
from brokers.models import SimulatedAccount, SimulatedFill, SimulatedOrder, SimulatedPosition
from brokers.money import money_value, quantity_value
from brokers.real_time import database_now
from portfolio import books, order_look_ups, orders, portfolios, rebuild, trades
from portfolio.enums import CloseReason
from portfolio.models import Fill, JournalEntry, LedgerTransaction, Order, Portfolio, Position, Trade, User

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = {"order_type": OrderType.LIMIT, "limit_price": Decimal("100.00"), "time_in_force": TimeInForce.GTC}
STOP = {"order_type": OrderType.STOP, "stop_price": Decimal("100.00"), "time_in_force": TimeInForce.GTC}
WRITES = ("INSERT", "UPDATE", "DELETE")


class Dead(BaseException):
    """The process dies here: nothing catches it, and what was not committed is gone."""


@dataclass
class Commits:
    """Counts commits, those of single statements too, and dies at one: before or after it took effect."""

    die_at: int | None = None
    is_after: bool = False
    count: int = 0
    is_dead: bool = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        real = BaseDatabaseWrapper.commit

        def commit(wrapper: BaseDatabaseWrapper) -> None:
            self.meet(lambda: real(wrapper), undo=wrapper.rollback)

        with mock.patch.object(BaseDatabaseWrapper, "commit", commit), connection.execute_wrapper(self.execute):
            yield

    def execute(self, execute, sql, params, many, context):
        if connection.in_atomic_block or not sql.lstrip().upper().startswith(WRITES):
            return execute(sql, params, many, context)
        return self.meet(lambda: execute(sql, params, many, context), undo=lambda: None)

    def meet(self, commit: Callable[[], object], *, undo: Callable[[], None]) -> object:
        if self.is_dead:
            undo()
            raise Dead
        self.count += 1
        if self.count != self.die_at:
            return commit()
        self.is_dead = True
        (commit if self.is_after else undo)()
        raise Dead


@dataclass(frozen=True)
class Person:
    """Somebody at a desk of their own whose presses carry the same keys each time, so pressing again is safe."""

    desk: Portfolio
    intent: Callable[..., orders.OrderIntent]
    now: datetime

    def send(self, *keys: str, **changes: object) -> None:
        orders.submit([self.intent(self.desk, key, **changes) for key in keys], now=self.now)
        orders.sync([self.desk], now=self.now)

    def close(self) -> None:
        """Press Close on what the list shows as open; what is being closed shows no button."""
        for trade in Trade.objects.filter(portfolio=self.desk, status="OPEN").order_by("pk"):
            trades.close(trade, reason=CloseReason.MANUAL, actor="test", now=self.now)
        orders.sync([self.desk], now=self.now)

    def cancel(self) -> None:
        orders.cancel(list(Order.objects.filter(portfolio=self.desk).order_by("pk")), actor="test", now=self.now)

    def deposit(self) -> None:
        portfolios.deposit(self.desk, amount=Decimal(500), key=f"gift:{self.desk.pk}", actor="test", now=self.now)


def nothing(person: Person) -> None:
    """A story without a past."""


def buy(person: Person) -> None:
    person.send("form:buy")


def buy_two_in_one_call(person: Person) -> None:
    person.send("form:one", "form:two")


def buy_and_rest_a_stop(person: Person) -> None:
    person.send("form:buy")
    person.send("form:stop", side=Side.SELL, **STOP)


def close(person: Person) -> None:
    person.close()


def rest_and_cancel(person: Person) -> None:
    person.send("form:rest", **LIMIT)
    person.cancel()


def deposit(person: Person) -> None:
    person.deposit()


# What happens undisturbed, and then the story during which the process dies.
STORIES = (
    (nothing, buy_two_in_one_call),
    (buy, close),
    (buy_and_rest_a_stop, close),  # the resting exit is canceled on the way: a close of many steps
    (nothing, rest_and_cancel),
    (buy, deposit),
)


@pytest.fixture
def newcomer(listed, intent, now) -> Callable[[], Person]:
    """Bring in somebody new with a portfolio of 100,000."""

    def make() -> Person:
        user = User.objects.create_user(f"crash{User.objects.count()}@example.com", "correct-horse-battery")
        opened = now - timedelta(minutes=1)
        desk = portfolios.open(user=user, name="Crash", cash=Decimal(100_000), actor="test", now=opened)
        return Person(desk, intent, now)

    return make


@pytest.mark.parametrize(("past", "story"), STORIES, ids=lambda part: part.__name__)
def test_a_death_at_any_commit_changes_nothing_in_the_end(past, story, newcomer, monkeypatch):
    monkeypatch.setattr(trades, "CLAIM_SECONDS", -1)  # the restart comes late: no claim is young any more
    for _ in range(2):  # the first one writes what later ones find, such as prices, and counts too many
        person, commits = newcomer(), Commits()
        past(person)
        play(story, person, commits)
    expected = end_state(person.desk)
    assert_sound(person.desk)
    assert commits.count >= 2

    for die_at in range(1, commits.count + 1):
        for is_after in (False, True):
            where = f"dies {'after' if is_after else 'before'} commit {die_at} of {commits.count}"
            person, death = newcomer(), Commits(die_at, is_after)
            past(person)
            play(story, person, death)
            assert death.is_dead, where
            restart(person)
            assert_nothing_hangs(person.desk, where)
            play(story, person, Commits())
            assert end_state(person.desk) == expected, where
            assert_sound(person.desk)


def play(story: Callable[[Person], None], person: Person, commits: Commits) -> None:
    """Tell a story until its end or its death."""
    fresh = Person(Portfolio.objects.get(pk=person.desk.pk), person.intent, person.now)
    try:
        with commits.watched():
            story(fresh)
    except Dead:
        assert commits.is_dead


def restart(person: Person) -> None:
    """A tick comes first, long before any deadline; then all deadlines have passed and sweep and tick follow."""
    tick(person)
    for _ in range(2):
        past = database_now() - timedelta(seconds=1)
        Order.objects.filter(deadline__isnull=False).update(deadline=past)
        Order.objects.filter(next_look_up_at__isnull=False).update(next_look_up_at=past)
        assert order_look_ups.settle_overdue(now=person.now) == []
        tick(person)


def tick(person: Person) -> None:
    desk = Portfolio.objects.get(pk=person.desk.pk)
    assert orders.sync([desk], now=person.now).errors == {}
    trades.carry_on([desk], now=person.now)


def assert_nothing_hangs(desk: Portfolio, where: str) -> None:
    """No order is half sent, no wish to cancel is forgotten, no trade waits for an exit that is not there."""
    mine = Order.objects.filter(portfolio=desk)
    assert not mine.filter(status__in=("SUBMITTED", "UNKNOWN", "PENDING_CANCEL")).exists(), where
    wishes = JournalEntry.objects.filter(portfolio=desk, name="order.pending_cancel").values_list("subject", flat=True)
    for subject in wishes:
        assert mine.get(pk=subject.removeprefix("order:")).is_final, f"{where}: {subject} was to be canceled"
    assert not Trade.objects.filter(portfolio=desk, status="CLOSING").exists(), where


def end_state(desk: Portfolio) -> dict[str, object]:
    """
    What does not depend on the luck of one account: which orders, how they ended, what is held and booked.

    A stop put back after the death, and canceled when the press came again, is no order of the story.
    """
    mine = {"portfolio": desk}
    put_back = Order.objects.filter(**mine, intent_key__startswith="restore:", status="CANCELED")
    return {
        "orders": sorted(
            (key.partition(":")[0 if key.startswith("close:") else 2], role, status, filled)
            for key, role, status, filled in Order.objects.filter(**mine)
            .exclude(pk__in=put_back)
            .values_list("intent_key", "role", "status", "filled_quantity")
        ),
        "positions": sorted(Position.objects.filter(**mine).values_list("instrument__symbol", "quantity")),
        "trades": sorted(Trade.objects.filter(**mine).values_list("symbol", "status", "close_reason")),
        "flows": sorted(
            key.partition(":")[0]
            for key in LedgerTransaction.objects.filter(**mine).exclude(kind="FILL").values_list("key", flat=True)
        ),
    }


def assert_sound(desk: Portfolio) -> None:
    """Book, replay and venue agree; nothing was sent or booked twice."""
    desk = Portfolio.objects.get(pk=desk.pk)
    assert books.check([desk]).differences == []
    assert rebuild.compare(desk) == []
    account = SimulatedAccount.objects.get(account_id=desk.account_id)
    assert desk.cash == money_value(account.cash_units)
    held = SimulatedPosition.objects.filter(account=account).exclude(quantity_units=0)
    there = {key: quantity_value(units) for key, units in held.values_list("instrument", "quantity_units")}
    mine = Position.objects.filter(portfolio=desk).exclude(quantity=0)
    assert dict(mine.values_list("instrument", "quantity")) == there
    executions = SimulatedFill.objects.filter(account=account).values_list("execution_id", flat=True)
    booked = Fill.objects.filter(portfolio=desk).values_list("venue_fill_id", flat=True)
    assert sorted(booked) == sorted(map(str, executions))
    sent = Order.objects.filter(portfolio=desk).exclude(venue_order_id="").values_list("client_order_id", flat=True)
    taken = SimulatedOrder.objects.filter(account=account).values_list("client_order_id", flat=True)
    assert sorted(sent) == sorted(taken)
    starts = JournalEntry.objects.filter(portfolio=desk, name="order.submitted").values_list("subject", flat=True)
    assert len(starts) == len(set(starts)) == Order.objects.filter(portfolio=desk).count()
