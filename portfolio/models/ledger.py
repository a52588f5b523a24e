"""The double-entry ledger; append-only."""

from django.db import models
from django.db.models import Q

from brokers.choices import choices
from brokers.fixed_point import MoneyField, QuantityField
from brokers.models import Instrument
from portfolio.enums import LedgerAccount, LedgerKind
from portfolio.models.portfolio import Portfolio
from portfolio.ownership import UserOwned


class LedgerTransaction(UserOwned):
    """A balanced, immutable booking; its postings sum to zero."""

    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="ledger_transactions")
    kind = models.CharField(max_length=17, choices=choices(LedgerKind))
    key = models.CharField(max_length=160)
    occurred_at = models.DateTimeField()
    fill = models.OneToOneField("portfolio.Fill", models.PROTECT, null=True, related_name="booking")
    text = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["portfolio", "key"], name="ledger_key_once")]
        indexes = [models.Index(fields=["user", "portfolio", "-id"])]

    def __str__(self) -> str:
        return self.key


class LedgerPosting(UserOwned):
    transaction = models.ForeignKey(LedgerTransaction, models.PROTECT, related_name="postings")
    account = models.CharField(max_length=13, choices=choices(LedgerAccount))
    instrument = models.ForeignKey(Instrument, models.PROTECT, null=True, related_name="+")
    amount = MoneyField()
    quantity = QuantityField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(account=LedgerAccount.SECURITIES, instrument__isnull=False)
                | ~Q(account=LedgerAccount.SECURITIES),
                name="posting_securities_has_instrument",
            )
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount}"
