"""
What the chaos tests do inside the desk's own environment: people and portfolios before, a judgement after.

Run as `python -m tests.chaos.desk_side prepare|settle|judge`, in a process of its own with the settings of
the desk under test; the answer is JSON on the last line.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
PEOPLE = ("alice@example.com", "bob@example.com")
OPEN_ENDED = ("SUBMITTED", "UNKNOWN", "PENDING_CANCEL")
FINAL_WITHOUT_VENUE = ("DENIED", "REJECTED")
SETTLE_SECONDS = 100


def prepare(asked: dict[str, Any]) -> dict[str, Any]:
    """Create two people with a paper portfolio each, and return how to sign in as them."""
    from decimal import Decimal

    from brokers.market_data import clock
    from portfolio import portfolios
    from portfolio.models import User

    result = []
    for email in PEOPLE:
        user = User.objects.create_user(email, asked["password"])
        desk = portfolios.open(user=user, name="Chaos", cash=Decimal(1_000_000), actor="test", now=clock.now())
        desk.risk_limits.delete()
        result.append({"email": email, "portfolio_id": desk.pk})
    return {"people": result}


def settle(asked: dict[str, Any]) -> dict[str, Any]:
    """Sweep as an operator would, until no order and no trade is left half done; limited."""
    from django.core.management import call_command

    begun = time.monotonic()
    history = [open_ends()]
    while open_ends() and time.monotonic() - begun < SETTLE_SECONDS:
        call_command("sweep", verbosity=0, stdout=sys.stderr)
        time.sleep(1.0)
    return {"open_ends_at_first": history[0], "open_ends": open_ends(), "seconds": time.monotonic() - begun}


def open_ends() -> list[str]:
    from portfolio.models import Order, Trade

    waiting = [f"order {pk} {status}" for pk, status in pairs(Order.objects.filter(status__in=OPEN_ENDED))]
    closing = Trade.objects.filter(status="CLOSING")
    busy = Order.objects.filter(trade__in=closing, status__in=("ACCEPTED", "PARTIALLY_FILLED"))
    idle = closing.exclude(pk__in=busy.values("trade_id"))
    return waiting + [f"trade {pk} {status}" for pk, status in pairs(idle)]


def pairs(rows: Any) -> Iterable[tuple[int, str]]:
    return rows.order_by("pk").values_list("pk", "status")


def judge(asked: dict[str, Any]) -> dict[str, Any]:
    """Bring everything in once more, then compare every wish, the desk's book and the venue's rows."""
    from brokers.market_data import clock
    from portfolio import orders
    from portfolio.models import Portfolio

    desks = list(Portfolio.objects.order_by("pk"))
    orders.sync(desks, now=clock.now())
    faults = [
        *open_ends(),
        *(fault for act in asked["acts"] for fault in judge_acts(act)),
        *(fault for desk in Portfolio.objects.order_by("pk") for fault in judge_desk(desk)),
        *judge_cancels(),
        *judge_starts(),
    ]
    return {"faults": faults, "figures": figures()}


def judge_acts(acts: dict[str, Any]) -> Iterator[str]:
    """Each ticket made its orders once; each close at most one exit, and exactly one when it said so."""
    from portfolio.models import Order

    made: dict[str, list[Order]] = {}
    for order in Order.objects.order_by("pk"):
        made.setdefault(order.intent_key, []).append(order)
    for key in acts["tickets"]:
        found = made.get(f"form:{key}", [])
        if not found:
            yield f"ticket {key} was answered and made no order"
        if len(found) > 1 and not (
            all(each.role == "EXIT" for each in found) and len({each.trade_id for each in found}) == len(found)
        ):
            yield f"ticket {key} made {len(found)} orders"
    for key, status in acts["closes"].items():
        found = made.get(f"close:{key}", [])
        if len(found) > 1 or (status == 302 and not found):
            yield f"close {key} was answered {status} and made {len(found)} exits"


def judge_desk(desk: Any) -> Iterator[str]:
    """One portfolio against its account at the venue: orders, fills, positions, cash."""
    from brokers.models import SimulatedAccount, SimulatedFill, SimulatedOrder, SimulatedPosition
    from brokers.money import money_value, quantity_value
    from portfolio.models import Fill, Position

    account = SimulatedAccount.objects.get(account_id=desk.account_id)
    yield from judge_orders(desk, SimulatedOrder.objects.filter(account=account))
    theirs = Counter(
        (str(execution), quantity_value(quantity), money_value(price))
        for execution, quantity, price in SimulatedFill.objects.filter(account=account).values_list(
            "execution_id", "quantity_units", "price_units"
        )
    )
    ours = Counter(Fill.objects.filter(portfolio=desk).values_list("venue_fill_id", "quantity", "price"))
    if ours != theirs:
        yield f"portfolio {desk.pk}: fills differ from the venue's: {ours - theirs} against {theirs - ours}"
    held = dict(Position.objects.filter(portfolio=desk).exclude(quantity=0).values_list("instrument", "quantity"))
    positions = SimulatedPosition.objects.filter(account=account).exclude(quantity_units=0)
    there = {key: quantity_value(units) for key, units in positions.values_list("instrument", "quantity_units")}
    if held != there:
        yield f"portfolio {desk.pk}: holds {held}, at the venue {there}"
    if desk.cash != money_value(account.cash_units):
        yield f"portfolio {desk.pk}: cash {desk.cash}, at the venue {money_value(account.cash_units)}"


def judge_orders(desk: Any, venue_rows: Any) -> Iterator[str]:
    """Each order that was meant to reach the venue did so once, and both sides say how it stands."""
    from brokers.money import quantity_value
    from brokers.simulator.reporting import STATUSES
    from portfolio.models import Order

    there = Counter(venue_rows.values_list("client_order_id", flat=True))
    states = {row.client_order_id: row for row in venue_rows}
    for order in Order.objects.filter(portfolio=desk).order_by("pk"):
        count = there.pop(order.client_order_id, 0)
        if count != (0 if order.status in FINAL_WITHOUT_VENUE else 1):
            yield f"order {order.pk} {order.status} stands {count} times at the venue"
            continue
        if count == 0:
            continue
        row = states[order.client_order_id]
        if STATUSES[row.state] != order.status or quantity_value(row.filled_units) != order.filled_quantity:
            yield f"order {order.pk}: {order.status} {order.filled_quantity}, at the venue {row.state}"
    for name in there:
        yield f"the venue has an order {name} that the desk does not know"


def judge_cancels() -> Iterator[str]:
    """An order whose cancel was written down does not go on working."""
    from portfolio.models import JournalEntry, Order

    asked = JournalEntry.objects.filter(name="order.pending_cancel").values_list("subject", flat=True)
    keys = [int(subject.partition(":")[2]) for subject in asked]
    for order in Order.objects.filter(pk__in=keys):
        if not order.is_final:
            yield f"order {order.pk} was to be canceled and is {order.status}"


def judge_starts() -> Iterator[str]:
    """Each order began once in the journal, and no final status was told twice or left."""
    from brokers.enums import FINAL_STATUSES
    from portfolio.models import JournalEntry, Order

    entries = Counter(JournalEntry.objects.filter(subject__startswith="order:").values_list("subject", "name"))
    once = {"order.submitted", "order.denied"}
    final = {f"order.{status.lower()}" for status in FINAL_STATUSES} - {"order.filled", "order.denied"}
    for pk in Order.objects.order_by("pk").values_list("pk", flat=True):
        starts = sum(entries[f"order:{pk}", name] for name in once)
        ends = sum(entries[f"order:{pk}", name] for name in final)
        if starts != 1 or ends > 1:
            yield f"order {pk} began {starts} times and ended {ends} times in the journal"


def figures() -> dict[str, Any]:
    from brokers.models import SimulatedFill
    from monitoring.models import TickRun
    from portfolio.models import Fill, JournalEntry, Order, Trade

    runs = TickRun.objects.all()
    return {
        "orders": dict(Counter(Order.objects.values_list("status", flat=True))),
        "fills": Fill.objects.count(),
        "venue_fills": SimulatedFill.objects.count(),
        "trades": dict(Counter(Trade.objects.values_list("status", flat=True))),
        "went_unknown": JournalEntry.objects.filter(name="order.unknown").count(),
        "closes_given_back": JournalEntry.objects.filter(name="trade.close_failed").count(),
        "journal_entries": JournalEntry.objects.count(),
        "ticks": runs.filter(kind="tick").count(),
        "sweeps": runs.filter(kind="sweep").count(),
        "unfinished_runs": runs.filter(finished_at__isnull=True).count(),
        "errors": dict(Counter(error[:160] for run in runs for error in run.errors).most_common(12)),
    }


def main() -> None:
    django.setup()
    verbs = {"prepare": prepare, "settle": settle, "judge": judge}
    answer = verbs[sys.argv[1]](json.loads(sys.stdin.read() or "{}"))
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main()
