import pytest

from brokers.enums import FINAL_STATUSES, OrderStatus
from portfolio.order_states import may_follow


@pytest.mark.parametrize("final", sorted(FINAL_STATUSES))
@pytest.mark.parametrize("following", list(OrderStatus))
def test_a_final_status_is_never_left(final, following):
    assert not may_follow(final, following)


@pytest.mark.parametrize(
    ("current", "following", "allowed"),
    [
        ("SUBMITTED", "ACCEPTED", True),
        ("SUBMITTED", "UNKNOWN", True),
        ("SUBMITTED", "FILLED", True),
        ("SUBMITTED", "NEEDS_REVIEW", False),
        ("UNKNOWN", "NEEDS_REVIEW", True),
        ("UNKNOWN", "SUBMITTED", False),
        ("ACCEPTED", "PARTIALLY_FILLED", True),
        ("PARTIALLY_FILLED", "ACCEPTED", False),
        ("PARTIALLY_FILLED", "REJECTED", False),
        ("PENDING_CANCEL", "ACCEPTED", True),  # the cancel was refused
        ("ACCEPTED", "DENIED", False),
    ],
)
def test_listed_transitions(current, following, allowed):
    assert may_follow(OrderStatus(current), OrderStatus(following)) is allowed
