"""Signs of life: red when nothing was watched for too long, and when this process cannot serve."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from brokers.models import LatestPrice
from monitoring.models import TickRun
from portfolio.models import Portfolio
from portfolio.order_sync import CATCHING_UP
from tradingsite import health

NOW = datetime(2024, 3, 11, 14, 0, tzinfo=UTC)


def ran(kind, seconds_ago, *, is_good=True):
    started_at = NOW - timedelta(seconds=seconds_ago)
    return TickRun.objects.create(kind=kind, started_at=started_at, desk_time=started_at, is_good=is_good)


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch):
    monkeypatch.setattr(health.clock, "real_now", lambda: NOW)


@pytest.fixture(autouse=True)
def queue_of_files(settings, tmp_path):
    settings.REDIS_URL = ""
    settings.QUEUE_FOLDER = tmp_path


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "is_good"), [(29, True), (30, True), (31, False)])
def test_a_tick_may_be_three_periods_old(age, is_good):
    ran("tick", age)
    assert health.last_tick(now=NOW).is_good is is_good


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "is_good"), [(180, True), (181, False)])
def test_a_sweep_may_be_three_minutes_old(age, is_good):
    ran("sweep", age)
    assert health.last_sweep(now=NOW).is_good is is_good


@pytest.mark.django_db
def test_a_failed_tick_is_no_sign_of_life():
    ran("tick", 40)
    ran("tick", 4, is_good=False)
    assert health.last_tick(now=NOW) == health.Finding("last tick", False, "40 s ago; at most 30 s allowed")


@pytest.mark.django_db
def test_a_desk_that_never_ticked_is_red(client):
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "bad"
    assert answer.json()["checks"][1]["detail"] == "none yet; at most 30 s allowed"


@pytest.mark.django_db
def test_a_watched_desk_is_healthy(client):
    ran("tick", 4)
    ran("sweep", 50)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "good")


@pytest.mark.django_db
def test_a_process_with_database_and_queue_is_ready_without_signing_in(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert [check["name"] for check in answer.json()["checks"]] == ["database", "queue"]


@pytest.mark.django_db
def test_a_process_without_its_queue_is_not_ready(client, settings, tmp_path):
    settings.QUEUE_FOLDER = tmp_path / "gone"
    assert client.get("/readyz").status_code == 503


@pytest.mark.django_db
def test_a_process_whose_redis_does_not_answer_is_not_ready(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"][1] == {
        "name": "queue",
        "is_good": False,
        "detail": "Redis does not answer",
    }


@pytest.mark.django_db
def test_a_process_without_its_database_is_neither_healthy_nor_a_traceback(client, monkeypatch):
    class Gone:
        def cursor(self):
            raise DatabaseError("the server went away")

    monkeypatch.setattr(health, "connection", Gone())
    for address in ("/healthz", "/readyz"):
        answer = client.get(address)
        assert answer.status_code == 503
        assert answer.json()["checks"] == [{"name": "database", "is_good": False, "detail": "does not answer"}]


@pytest.mark.django_db
def test_health_is_read_only(client):
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "is_good"), [(60, True), (61, False)])
def test_a_message_may_wait_a_minute(settings, age, is_good):
    message = settings.QUEUE_FOLDER / "1_x.celery.msg"
    message.write_text("{}")
    at = (NOW - timedelta(seconds=age)).timestamp()
    os.utime(message, (at, at))
    assert health.queue_age(now=NOW).is_good is is_good


@pytest.mark.django_db
def test_an_empty_queue_is_good():
    assert health.queue_age(now=NOW) == health.Finding("queue age", True, "empty")


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "is_good"), [(60, True), (61, False)])
def test_the_price_of_a_holding_may_be_a_minute_old(desk, place, now, monkeypatch, age, is_good):
    monkeypatch.setattr(health.clock, "speed", lambda: 1)
    place(desk)
    LatestPrice.objects.update(updated_at=now - timedelta(seconds=age))
    assert health.price_age(now=now).is_good is is_good


@pytest.mark.django_db
def test_prices_rest_while_the_market_does(now):
    assert health.price_age(now=now + timedelta(hours=10)).detail == "market closed"


@pytest.mark.django_db
def test_a_portfolio_in_trouble_is_told_and_leaves_the_desk_healthy(client, desk, other_desk):
    ran("tick", 4)
    ran("sweep", 50)
    assert health.portfolios_in_trouble().detail == "none"
    Portfolio.objects.filter(pk=desk.pk).update(sync_error="NotBookable: a fill names nobody.")
    Portfolio.objects.filter(pk=other_desk.pk).update(sync_error=f"{CATCHING_UP}: booked until 2026-11-13 16:00 UTC.")
    assert health.portfolios_in_trouble() == health.Finding(
        "portfolios in trouble", True, "1 cannot be brought up to date"
    )
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["checks"][-1]["name"]) == (200, "portfolios in trouble")
    Portfolio.objects.update(archived_at=NOW)
    assert health.portfolios_in_trouble().detail == "none"
