"""A lock that could not be had is asked for again; everything else is an error at once."""

import pytest
from django.db import OperationalError

from portfolio.pages import retries


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0)


class Failing:
    """Fails a number of times, then answers."""

    def __init__(self, times: int, error: OperationalError) -> None:
        self.left, self.error, self.calls = times, error, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


def deadlock() -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = type("DeadlockDetected", (Exception,), {"sqlstate": "40P01"})()
    return error


@pytest.mark.parametrize("error", [deadlock(), OperationalError("database is locked")])
def test_two_failures_for_a_lock_are_forgiven(error):
    call = Failing(2, error)
    assert retries.when_locked(call) == "done"
    assert call.calls == 3


def test_the_third_is_not():
    call = Failing(3, deadlock())
    with pytest.raises(OperationalError):
        retries.when_locked(call)
    assert call.calls == 3


def test_another_error_is_not_asked_again():
    call = Failing(1, OperationalError("disk is full"))
    with pytest.raises(OperationalError):
        retries.when_locked(call)
    assert call.calls == 1
