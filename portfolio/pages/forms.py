"""What people type, checked for shape; what it means is for the verbs to say."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError

from brokers.enums import OrderType, Side, TimeInForce
from brokers.money import MONEY_SCALE, QUANTITY_SCALE
from portfolio.models import User
from portfolio.queries import Listing

THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
CASH_MAX = Decimal(1_000_000_000)
LIMIT_TYPES = (OrderType.LIMIT, OrderType.STOP_LIMIT)
STOP_TYPES = (OrderType.STOP, OrderType.STOP_LIMIT)

ORDER_TYPES = (
    (OrderType.MARKET, "Market"),
    (OrderType.LIMIT, "Limit"),
    (OrderType.STOP, "Stop"),
    (OrderType.STOP_LIMIT, "Stop limit"),
    (OrderType.TRAILING_STOP, "Trailing stop"),
)
TIMES_IN_FORCE = (
    (TimeInForce.DAY, "Day"),
    (TimeInForce.GTC, "Until canceled"),
    (TimeInForce.GTD, "Until a date"),
    (TimeInForce.IOC, "At once or cancel the rest"),
    (TimeInForce.FOK, "At once and whole, or not at all"),
    (TimeInForce.OPG, "At the open"),
    (TimeInForce.CLS, "At the close"),
)


class NumberField(forms.DecimalField):
    """An exact positive number; 1,234.50 is read with or without its thousands comma."""

    def __init__(self, *, places: int, unit: str, missing: str = "", **kwargs: Any) -> None:
        super().__init__(
            max_digits=places + 12,
            decimal_places=places,
            widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "number"}),
            error_messages={
                "required": missing or f"Give {unit}.",
                "invalid": f"Write {unit} as a number, such as 40 or 136.45.",
                "max_decimal_places": f"This has too many decimals; {unit} takes at most {places}.",
            },
            **kwargs,
        )

    def to_python(self, value: Any) -> Decimal | None:
        if isinstance(value, str) and THOUSANDS.fullmatch(value.strip()):
            value = value.replace(",", "")
        return super().to_python(value)

    def validate(self, value: Decimal | None) -> None:
        super().validate(value)
        if value is not None and value <= 0:
            raise ValidationError(f"This must be above zero; you wrote {value.normalize():f}.")


class PortfolioForm(forms.Form):
    name = forms.CharField(
        max_length=60, error_messages={"required": "Give the portfolio a name, such as “Swing desk”."}
    )
    cash = NumberField(
        places=2,
        unit="the cash",
        max_value=CASH_MAX,
        missing="Say how much cash it starts with.",
    )
    preset = forms.ChoiceField(widget=forms.RadioSelect)
    key = forms.UUIDField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, presets: tuple[tuple[str, str], ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["preset"].choices = presets


class TicketForm(forms.Form):
    """An order for shares; exactly one of quantity and amount, and the prices its type needs."""

    symbol = forms.CharField(
        max_length=40,
        error_messages={"required": "Name what to trade, such as SPY."},
        widget=forms.TextInput(attrs={"list": "instruments", "autocomplete": "off", "autocapitalize": "characters"}),
    )
    side = forms.ChoiceField(choices=[(Side.BUY, "Buy"), (Side.SELL, "Sell")], widget=forms.RadioSelect)
    quantity = NumberField(places=QUANTITY_SCALE, unit="the quantity", required=False)
    notional = NumberField(places=2, unit="the amount", required=False)
    order_type = forms.ChoiceField(choices=ORDER_TYPES)
    limit_price = NumberField(places=MONEY_SCALE, unit="the limit", required=False)
    stop_price = NumberField(places=MONEY_SCALE, unit="the stop", required=False)
    trail_amount = NumberField(places=MONEY_SCALE, unit="the distance", required=False)
    trail_percent = NumberField(places=2, unit="the percentage", required=False)
    time_in_force = forms.ChoiceField(choices=TIMES_IN_FORCE)
    expires_on = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"invalid": "Write the date as 2026-11-20."},
    )
    extended_hours = forms.BooleanField(required=False)
    tags = forms.CharField(max_length=120, required=False)
    note = forms.CharField(max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, listings: Sequence[Listing], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.listings = listings

    def clean_symbol(self) -> str:
        symbol = self.cleaned_data["symbol"].strip().upper()
        if symbol not in {row.symbol for row in self.listings}:
            raise ValidationError(f"“{symbol}” is not a share or fund this desk can trade.")
        return symbol

    def clean_tags(self) -> list[str]:
        return [tag.strip() for tag in self.cleaned_data["tags"].split(",") if tag.strip()]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        order_type = data.get("order_type", "")
        self._need_one("quantity", "notional", "Give a quantity, or an amount in dollars.")
        self._need("limit_price", wanted=order_type in LIMIT_TYPES, what="a limit price")
        self._need("stop_price", wanted=order_type in STOP_TYPES, what="a stop price")
        self._need("expires_on", wanted=data.get("time_in_force") == TimeInForce.GTD, what="a date")
        if order_type == OrderType.TRAILING_STOP:
            self._need_one("trail_amount", "trail_percent", "Give the distance in dollars, or in percent.")
        else:
            self._need("trail_amount", wanted=False, what="a trailing distance")
            self._need("trail_percent", wanted=False, what="a trailing distance")
        return data

    def _need(self, field: str, *, wanted: bool, what: str) -> None:
        """Refuse a missing price and a superfluous one: a typed limit that is ignored would be a trap."""
        if field in self.errors:
            return
        given = self.cleaned_data.get(field) is not None
        if wanted and not given:
            self.add_error(field, f"This order needs {what}.")
        if given and not wanted:
            self.add_error(field, f"This order does not use {what}; clear it or choose another type.")

    def _need_one(self, first: str, second: str, sentence: str) -> None:
        if first in self.errors or second in self.errors:
            return
        given = [self.cleaned_data.get(field) is not None for field in (first, second)]
        if not any(given):
            self.add_error(first, sentence)
        if all(given):
            self.add_error(second, f"{sentence} Not both.")


class CloseForm(forms.Form):
    """How much of a trade to close, and which state of it the person was looking at."""

    quantity = NumberField(places=QUANTITY_SCALE, unit="the quantity")
    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    key = forms.UUIDField(widget=forms.HiddenInput)


class TradingStateForm(forms.Form):
    action = forms.ChoiceField(choices=[("halt", "Halt"), ("reduce", "Reduce only"), ("resume", "Resume")])
    reason = forms.CharField(max_length=200, required=False)


class DisplayForm(forms.ModelForm):
    time_zone = forms.ChoiceField(choices=[(name, name) for name in sorted(available_timezones())])

    class Meta:
        model = User
        fields = ("theme", "red_up", "time_zone")
