"""Lots in raw units: quantities 10^-9, money 10^-6."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio.accounting.lots import LotsExhausted, LotUnits, close_fifo, split_lots

SHARE = 10**9
DOLLAR = 10**6


def lot(quantity: int, price: int) -> LotUnits:
    return LotUnits(
        quantity=quantity * SHARE,
        remaining=quantity * SHARE,
        cost=quantity * price * DOLLAR,
        price=price * DOLLAR,
    )


def test_the_oldest_lot_closes_first():
    lots = [lot(10, 100), lot(10, 120)]
    releases = close_fifo(lots, 15 * SHARE)
    assert [(r.index, r.quantity // SHARE, r.cost // DOLLAR) for r in releases] == [(0, 10, 1000), (1, 5, 600)]
    assert (lots[0].remaining, lots[0].cost) == (0, 0)
    assert (lots[1].remaining // SHARE, lots[1].cost // DOLLAR) == (5, 600)


def test_closing_more_than_is_held_changes_nothing():
    lots = [lot(10, 100)]
    with pytest.raises(LotsExhausted):
        close_fifo(lots, 11 * SHARE)
    assert lots[0].remaining == 10 * SHARE


def test_a_short_lot_releases_its_negative_cost():
    lots = [lot(-5, 50)]
    (release,) = close_fifo(lots, -2 * SHARE)
    assert (release.quantity, release.cost) == (-2 * SHARE, -100 * DOLLAR)


def test_the_last_share_takes_exactly_the_cost_that_is_left():
    odd = LotUnits(quantity=3 * SHARE, remaining=3 * SHARE, cost=100, price=33)
    costs = [close_fifo([odd], SHARE)[0].cost for _ in range(3)]
    assert costs == [33, 34, 33]  # 100/3 = 33.3, then 67/2 = 33.5 away from zero, then what is left
    assert sum(costs) == 100


@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**12)), min_size=1, max_size=6),
    st.lists(st.integers(1, 10**12), max_size=8),
)
def test_whatever_is_closed_quantity_and_cost_are_conserved(opened, closings):
    lots = [LotUnits(quantity=q, remaining=q, cost=c, price=1) for q, c in opened]
    total_quantity, total_cost = sum(q for q, _ in opened), sum(c for _, c in opened)
    gone_quantity = gone_cost = 0
    for closing in closings:
        held = sum(each.remaining for each in lots)
        if held == 0:
            break
        for release in close_fifo(lots, min(closing, held)):
            gone_quantity += release.quantity
            gone_cost += release.cost
    assert gone_quantity + sum(each.remaining for each in lots) == total_quantity
    assert gone_cost + sum(each.cost for each in lots) == total_cost


def test_a_split_doubles_shares_and_keeps_the_cost():
    lots = [lot(25, 100)]
    split_lots(lots, ratio_from=1, ratio_to=4)
    assert (lots[0].remaining, lots[0].cost, lots[0].price) == (100 * SHARE, 2500 * DOLLAR, 25 * DOLLAR)


def test_a_reverse_split_leaves_its_fraction_for_cash_in_lieu():
    lots = [lot(101, 8)]
    split_lots(lots, ratio_from=8, ratio_to=1)
    assert lots[0].remaining == 12_625_000_000  # 12.625 shares: 0.625 is paid out by the venue
    assert lots[0].cost == 808 * DOLLAR


def test_what_nine_decimals_cannot_hold_goes_to_the_newest_lot():
    lots = [lot(1, 9), lot(1, 9), lot(1, 9)]
    split_lots(lots, ratio_from=3, ratio_to=1)
    assert [each.remaining for each in lots] == [333_333_333, 333_333_333, 333_333_334]
