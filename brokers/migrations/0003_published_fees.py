"""The published fees up to November 2026, with where each comes from; staff add later ones."""

from datetime import date
from decimal import Decimal

from django.db import migrations

RATES = (
    # name, valid from, rate, cap per order, source
    ("SEC", date(2024, 5, 22), "0.0000278", None, "FINRA notice 2025-04-24: 27.80 per million to 2025-05-13"),
    ("SEC", date(2025, 5, 14), "0", None, "FINRA notice 2025-04-24: 0.00 from 2025-05-14"),
    (
        "SEC",
        date(2026, 4, 4),
        "0.0000206",
        None,
        "SEC order 34-104909 of 2026-02-27; 20.60 per million by secondary sources",
    ),
    ("TAF_SHARES", date(2024, 1, 1), "0.000166", "8.30", "FINRA trading activity fee by secondary sources"),
    (
        "TAF_SHARES",
        date(2026, 1, 1),
        "0.000195",
        "9.79",
        "FINRA trading activity fee by secondary sources; cap not verified",
    ),
    ("TAF_OPTIONS", date(2024, 1, 1), "0.00279", None, "published by brokers"),
    ("TAF_OPTIONS", date(2026, 1, 1), "0.00329", None, "published by brokers; not verified"),
    ("OCC", date(2024, 1, 1), "0.02", "55.00", "OCC schedule of fees to 2025-02-13"),
    ("OCC", date(2025, 2, 14), "0.025", None, "OCC filing, 90 FR 10544; later changes not verified"),
    ("ORF", date(2024, 1, 1), "0.027", None, "not verified: brokers showed 0.012 to 0.027 in 2025 and 2026"),
    ("CAT", date(2024, 1, 1), "0", None, "off"),
)


def add_published_fees(apps, schema_editor):
    fee_rate = apps.get_model("brokers", "FeeRate")
    for name, valid_from, rate, cap, source in RATES:
        fee_rate.objects.using(schema_editor.connection.alias).get_or_create(
            name=name,
            valid_from=valid_from,
            defaults={
                "rate": Decimal(rate),
                "cap": None if cap is None else Decimal(cap),
                "source": source,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("brokers", "0002_split_fraction")]
    operations = [migrations.RunPython(add_published_fees, migrations.RunPython.noop)]
