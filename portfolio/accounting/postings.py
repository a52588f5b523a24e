"""From an event to balanced postings, in raw units. Assets rise by positive amounts; income is negative."""

from dataclasses import dataclass

from portfolio.enums import LedgerAccount


class Unbalanced(ValueError):
    """The postings of one transaction do not add up to zero."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One line: amount in 10^-6 of money, quantity in 10^-9 (SECURITIES only), instrument id or None."""

    account: LedgerAccount
    amount: int
    instrument_id: int | None = None
    quantity: int | None = None


def balanced(postings: list[Posting]) -> list[Posting]:
    """
    Drop empty lines and insist that the rest adds up to zero over at least two lines.

    A quantity that moved for less than half a cent keeps its cash line of zero.
    """
    kept = [line for line in postings if line.amount or line.quantity]
    if len(kept) == 1 and kept[0].quantity and not kept[0].amount:
        kept.insert(0, Posting(LedgerAccount.CASH, 0))
    total = sum(line.amount for line in kept)
    if total or len(kept) < 2:
        raise Unbalanced(f"{len(kept)} postings add up to {total} units, not to zero.")
    return kept


def fill_postings(
    *,
    instrument_id: int,
    signed_quantity: int,
    signed_notional: int,
    released_cost: int,
    opened_cost: int,
    commission: int,
    fees: int,
) -> list[Posting]:
    """
    Book one fill: `signed_notional` is + for a buy; `released_cost` left closed lots, `opened_cost` entered.

    Realized profit is what the closing part brought less what it cost: -(notional of it) - released cost.
    """
    closed_notional = signed_notional - opened_cost
    realized = -closed_notional - released_cost
    return balanced(
        [
            Posting(LedgerAccount.CASH, -signed_notional - commission - fees),
            Posting(
                LedgerAccount.SECURITIES,
                opened_cost - released_cost,
                instrument_id,
                signed_quantity,
            ),
            Posting(LedgerAccount.REALIZED_PNL, -realized),
            Posting(LedgerAccount.COMMISSION, commission),
            Posting(LedgerAccount.FEES, fees),
        ]
    )


def flow_postings(amount: int) -> list[Posting]:
    """A deposit (+) or withdrawal (-)."""
    return balanced([Posting(LedgerAccount.CASH, amount), Posting(LedgerAccount.CONTRIBUTIONS, -amount)])


def dividend_declared_postings(promised: int) -> list[Posting]:
    """On the ex-date the dividend is owed to a long holder (+) or by a short one (-)."""
    return balanced([Posting(LedgerAccount.RECEIVABLE, promised), Posting(LedgerAccount.DIVIDENDS, -promised)])


def dividend_paid_postings(amount: int) -> list[Posting]:
    return balanced([Posting(LedgerAccount.CASH, amount), Posting(LedgerAccount.RECEIVABLE, -amount)])


def split_postings(*, instrument_id: int, cost: int, old_quantity: int, new_quantity: int) -> list[Posting]:
    """The old quantity leaves at its cost and the new one enters at the same."""
    return balanced(
        [
            Posting(LedgerAccount.SECURITIES, -cost, instrument_id, -old_quantity),
            Posting(LedgerAccount.SECURITIES, cost, instrument_id, new_quantity),
        ]
    )


def cash_in_lieu_postings(*, instrument_id: int, amount: int, released_cost: int, quantity: int) -> list[Posting]:
    """A fraction of a share is bought out: `quantity` and `released_cost` carry the lot's sign."""
    return balanced(
        [
            Posting(LedgerAccount.CASH, amount),
            Posting(LedgerAccount.SECURITIES, -released_cost, instrument_id, -quantity),
            Posting(LedgerAccount.REALIZED_PNL, released_cost - amount),
        ]
    )
