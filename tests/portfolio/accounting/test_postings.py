"""The table of the ledger, line by line. Amounts in whole dollars here, in 10^-6 in the book."""

import pytest

from portfolio.accounting import postings
from portfolio.accounting.postings import Posting, Unbalanced
from portfolio.enums import LedgerAccount as Account

DOLLAR = 10**6
SHARE = 10**9


def lines(found: list[Posting]) -> dict[str, float]:
    return {line.account.value: line.amount / DOLLAR for line in found}


def fill(signed: int, notional: int, *, released: int = 0, opened: int = 0, commission: int = 0) -> dict[str, float]:
    return lines(
        postings.fill_postings(
            instrument_id=1,
            signed_quantity=signed * SHARE,
            signed_notional=notional * DOLLAR,
            released_cost=released * DOLLAR,
            opened_cost=opened * DOLLAR,
            commission=commission * DOLLAR,
            fees=0,
        )
    )


def test_deposit_10_000():
    assert lines(postings.flow_postings(10_000 * DOLLAR)) == {"CASH": 10_000, "CONTRIBUTIONS": -10_000}


def test_buy_10_at_100_commission_1():
    assert fill(10, 1000, opened=1000, commission=1) == {"CASH": -1001, "SECURITIES": 1000, "COMMISSION": 1}


def test_sell_4_of_them_at_110_commission_1():
    assert fill(-4, -440, released=400, commission=1) == {
        "CASH": 439,
        "SECURITIES": -400,
        "REALIZED_PNL": -40,
        "COMMISSION": 1,
    }


def test_short_5_at_50():
    assert fill(-5, -250, opened=-250) == {"CASH": 250, "SECURITIES": -250}


def test_cover_them_at_45():
    assert fill(5, 225, released=-250) == {"CASH": -225, "SECURITIES": 250, "REALIZED_PNL": -25}


def test_dividend_030_on_6_is_owed_first_and_paid_later():
    owed, paid = postings.dividend_declared_postings(1_800_000), postings.dividend_paid_postings(1_800_000)
    assert lines(owed) == {"RECEIVABLE": 1.8, "DIVIDENDS": -1.8}
    assert lines(paid) == {"CASH": 1.8, "RECEIVABLE": -1.8}


def test_two_for_one_split_swaps_the_quantity_at_the_same_cost():
    out, back = postings.split_postings(
        instrument_id=1, cost=1000 * DOLLAR, old_quantity=10 * SHARE, new_quantity=20 * SHARE
    )
    assert (out.amount, out.quantity) == (-1000 * DOLLAR, -10 * SHARE)
    assert (back.amount, back.quantity) == (1000 * DOLLAR, 20 * SHARE)


def test_cash_in_lieu_realizes_the_fraction():
    found = postings.cash_in_lieu_postings(
        instrument_id=1, amount=25_330_000, released_cost=20 * DOLLAR, quantity=625_000_000
    )
    assert lines(found) == {"CASH": 25.33, "SECURITIES": -20, "REALIZED_PNL": -5.33}


def test_what_does_not_balance_is_refused():
    with pytest.raises(Unbalanced):
        postings.balanced([Posting(Account.CASH, 5), Posting(Account.FEES, -4)])
    with pytest.raises(Unbalanced):
        postings.balanced([Posting(Account.CASH, 0)])
