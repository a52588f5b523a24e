"""What went wrong at a venue, named after what the caller should do next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why an order is not taken: a code, a sentence, and the numbers behind it."""

    code: str
    message: str
    measured: str = ""
    limit: str = ""


class BrokerError(Exception):
    """Base of everything an adapter raises."""


class OrderRejected(BrokerError):
    """The venue refused, for documented reasons. Record its text; final."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__(" ".join(refusal.message for refusal in refusals))
        self.refusals = refusals

    @property
    def code(self) -> str:
        return self.refusals[0].code if self.refusals else "REJECTED"


class OutcomeUnknown(BrokerError):
    """Something may have reached the venue. Mark UNKNOWN and look it up; never send again blindly."""


class BrokerUnavailable(BrokerError):
    """Nothing was sent. Try later."""

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class CredentialsRefused(BrokerUnavailable):
    """The venue does not accept these credentials. Alert the user; stop trying."""


class AccountUnknown(BrokerUnavailable):
    """The venue has no account of this id; nothing was sent."""


class Unsupported(BrokerError):
    """The venue cannot do this; its capabilities said so before."""
