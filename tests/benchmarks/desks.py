"""Users, portfolios, instruments and orders in bulk, from a fixed seed, as rows the desk itself would have."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from django.db import connection

from brokers.enums import (
    ActivityKind,
    Environment,
    InstrumentKind,
    OrderStatus,
    OrderType,
    PositionEffect,
    PriceSource,
    Side,
    TimeInForce,
    Venue,
)
from brokers.messages import ActivityReport, VenueReports
from brokers.models import Instrument, LatestPrice
from portfolio.enums import OrderRole, Origin
from portfolio.models import Order, OrderLeg, Portfolio, User
from portfolio.order_intents import client_order_id
from portfolio.order_sync import BATCH_PORTFOLIOS, book_batch

SEED = 20_261_113
NOW = datetime(2026, 11, 13, 16, 0, tzinfo=UTC)  # Friday, 11:00 in New York: the market is open
CASH = Decimal(10_000_000)
PORTFOLIOS_PER_USER = 10
BATCH = 2_000


def open_portfolios(count: int, *, group: str) -> list[Portfolio]:
    """Write portfolios, ten to a user, with nothing in them; `group` keeps their names apart from others."""
    users = User.objects.bulk_create(
        [User(email=f"{group}{n}@example.com", password="!") for n in range(-(-count // PORTFOLIOS_PER_USER))],
        batch_size=BATCH,
    )
    return Portfolio.objects.bulk_create(
        [
            Portfolio(
                user=users[number // PORTFOLIOS_PER_USER],
                name=f"{group} {number}",
                venue=Venue.SIMULATOR,
                environment=Environment.PAPER,
                account_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{group} {number}")),
                initial_cash=CASH,
                opened_at=NOW - timedelta(days=1),
                synced_until=NOW - timedelta(days=1),
            )
            for number in range(count)
        ],
        batch_size=BATCH,
    )


def fund(portfolios: Sequence[Portfolio]) -> None:
    """Book the first deposit of each portfolio through the fills door."""
    opened = NOW - timedelta(days=1)
    reports = {
        row.pk: VenueReports(
            account_id=row.account_id,
            caught_up_until=opened,
            activities=(
                ActivityReport(
                    account_id=row.account_id,
                    venue_activity_id=f"{row.account_id} opening",
                    kind=ActivityKind.DEPOSIT,
                    amount=CASH,
                    occurred_at=opened,
                    sequence=1,
                    event_id=f"{row.account_id} opening",
                ),
            ),
        )
        for row in portfolios
    }
    for batch in batches(reports):
        book_batch(batch, now=opened)


def batches(reports: dict[int, VenueReports]) -> list[dict[int, VenueReports]]:
    """Cut reports into the batches in which the desk books them."""
    keys = sorted(reports)
    return [
        {key: reports[key] for key in keys[start : start + BATCH_PORTFOLIOS]}
        for start in range(0, len(keys), BATCH_PORTFOLIOS)
    ]


def list_shares(count: int) -> list[Instrument]:
    """Write `count` invented shares and return them in the order of their symbols."""
    rows = [
        Instrument(symbol=f"SHARE{number:03}", kind=InstrumentKind.EQUITY, is_fractionable=True)
        for number in range(count)
    ]
    return Instrument.objects.bulk_create(rows, batch_size=BATCH)


def working_order(
    portfolio: Portfolio, *, key: str, side: Side, quantity: Decimal, expected_price: Decimal, at: datetime
) -> Order:
    """Return the row of a market order that its venue has accepted; of an origin that pools its trades."""
    return Order(
        user_id=portfolio.user_id,
        portfolio=portfolio,
        origin=Origin.API,
        role=OrderRole.ENTRY if side is Side.BUY else OrderRole.EXIT,
        intent_key=key,
        client_order_id=client_order_id(portfolio_id=portfolio.pk, origin=Origin.API, intent_key=key),
        request_hash="0" * 64,
        venue_order_id=f"venue {key}",
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        quantity=quantity,
        status=OrderStatus.ACCEPTED,
        expected_price=expected_price,
        submitted_at=at,
        venue_updated_at=at,
    )


def write_orders(orders: Sequence[Order], instruments: Sequence[Instrument], sides: Sequence[Side]) -> None:
    """Write orders with their legs; the lists belong together row by row."""
    Order.objects.bulk_create(orders, batch_size=BATCH)
    OrderLeg.objects.bulk_create(
        [
            OrderLeg(
                user_id=order.user_id,
                order=order,
                instrument=instrument,
                side=side,
                position_effect=PositionEffect.OPEN if side is Side.BUY else PositionEffect.CLOSE,
            )
            for order, instrument, side in zip(orders, instruments, sides, strict=True)
        ],
        batch_size=BATCH,
    )


def store_prices(instruments: Sequence[Instrument], *, at: datetime) -> None:
    """Store a fresh quote of each instrument, as the tick has just done when fills come in."""
    draw = Random(SEED)
    LatestPrice.objects.all().delete()
    LatestPrice.objects.bulk_create(
        [
            LatestPrice(
                instrument=row,
                bid=(bid := Decimal(draw.randint(1_000, 50_000)).scaleb(-2)),
                ask=bid + Decimal("0.02"),
                quote_as_of=at,
                last=bid + Decimal("0.01"),
                last_as_of=at,
                source=f"replay:{PriceSource.QUOTE}",
                updated_at=at,
            )
            for row in instruments
        ],
        batch_size=BATCH,
    )


def analyze() -> None:
    """Let the database count its rows, as it would have by itself on a desk that has run for a while."""
    tables = [name for name in connection.introspection.table_names() if name.startswith(("brokers_", "portfolio_"))]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET lock_timeout = 0")  # the server may just be counting by itself
        for table in tables:
            cursor.execute(f'ANALYZE "{table}"')
