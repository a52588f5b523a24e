"""A booking on its way into the ledger: balanced postings with a key; digests of it and of fills."""

from dataclasses import dataclass
from datetime import datetime

from portfolio import journal
from portfolio.accounting.postings import Posting
from portfolio.enums import LedgerKind
from portfolio.models import Fill, Portfolio

Line = tuple[str, int | None, int, int | None]


@dataclass(slots=True)
class Booking:
    """One transaction to post. `fill` need not have its primary key yet when this is made."""

    portfolio: Portfolio
    kind: LedgerKind
    key: str
    occurred_at: datetime
    postings: list[Posting]
    fill: Fill | None = None
    text: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 over key, time and postings; the journal entry of the same transaction carries it."""
        lines = [(line.account.value, line.instrument_id, line.amount, line.quantity) for line in self.postings]
        return digest_of(
            portfolio_id=self.portfolio.pk,
            kind=self.kind,
            key=self.key,
            occurred_at=self.occurred_at,
            lines=lines,
        )


def digest_of(*, portfolio_id: int, kind: str, key: str, occurred_at: datetime, lines: list[Line]) -> str:
    """The digest of a booking; `lines` are (account, instrument id, amount units, quantity units)."""
    ordered = sorted(lines, key=lambda line: (line[0], line[1] or 0, line[2], line[3] or 0))
    return journal.digest_of_plain(
        portfolio=portfolio_id, kind=str(kind), key=key, occurred_at=journal.plain(occurred_at), lines=ordered
    )


def fill_digest(fill: Fill) -> str:
    """SHA-256 of what a fill states; its journal entry carries it, so an edited fill is found out."""
    return journal.digest(
        portfolio=fill.portfolio_id,
        venue_fill_id=fill.venue_fill_id,
        instrument=fill.instrument_id,
        side=str(fill.side),
        quantity=fill.quantity.normalize(),
        price=fill.price.normalize(),
        commission=fill.commission.normalize(),
        fees=fill.fees.normalize(),
        executed_at=fill.executed_at,
    )
