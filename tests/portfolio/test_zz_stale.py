from datetime import timedelta
from decimal import Decimal
import pytest
from brokers.models import SimulatedAccount, SimulatedFill, SimulatedOrder
from portfolio import orders, portfolios, books
from portfolio.models import Fill, Order, Portfolio
from tests.portfolio.conftest import *
from tests.conftest import *

@pytest.mark.parametrize("minutes",[15,25,45])
def test_stale_now_submit(desk, intent, now, minutes):
    later = now+timedelta(minutes=minutes)
    for m in (1,minutes//2,minutes): orders.sync([Portfolio.objects.get()], now=now+timedelta(minutes=m))            # another worker's tick, while our request waits
    print("acc", SimulatedAccount.objects.get().matched_until, Portfolio.objects.get().synced_until)
    written,_ = orders.write_rows([intent(desk)], now=now)
    try:
        orders.send(written, now=now)             # our request goes on with the time it read at its start; then dies
    except Exception as e: print(type(e), e)
    for i in range(3):
        d=Portfolio.objects.get(pk=desk.pk)
        print(orders.sync([d], now=later+timedelta(minutes=i)))
    o=Order.objects.get()
    print(o.status, o.filled_quantity, SimulatedOrder.objects.get().state, SimulatedOrder.objects.get().updated_at, SimulatedFill.objects.count(), Fill.objects.count())
    assert Fill.objects.count()==SimulatedFill.objects.count()

@pytest.mark.parametrize("minutes",[15,25,45])
def test_stale_now_deposit(desk, intent, now, minutes):
    later = now+timedelta(minutes=minutes)
    for m in (1,minutes//2,minutes): orders.sync([Portfolio.objects.get()], now=now+timedelta(minutes=m))
    from brokers import registry
    registry.deposit(orders.account_key(desk), amount=Decimal(500), event_id="g", now=now)
    d=Portfolio.objects.get(pk=desk.pk)
    orders.sync([d], now=later+timedelta(minutes=1))
    assert Portfolio.objects.get().cash==100500
