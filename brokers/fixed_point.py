"""FixedPointField: exact decimals as BIGINT, the same on SQLite and PostgreSQL."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core import exceptions
from django.db import models

from brokers import money


def value(number: Decimal | int | str, *, scale: int) -> models.Value:
    """Wrap a constant for expressions: `F("cash") + value(1, scale=6)` adds one, not one millionth."""
    return models.Value(money.to_units(number, scale=scale), output_field=models.BigIntegerField())


class FixedPointField(models.BigIntegerField):
    """
    Store a Decimal as an integer of 10^-scale.

    A value with more places than the scale is refused, never rounded. Sums come back as Decimal too.
    """

    description = "Decimal stored as a scaled 64-bit integer"

    def __init__(self, *args: Any, scale: int, **kwargs: Any) -> None:
        self.scale = scale
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "scale": self.scale}

    def from_db_value(self, raw: Any, expression: Any, connection: Any) -> Decimal | None:
        # SUM of BIGINT arrives as Decimal from PostgreSQL and as int from SQLite: one integer, either way.
        return None if raw is None else money.from_units(int(raw), scale=self.scale)

    def to_python(self, raw: Any) -> Decimal | None:
        if raw is None or raw == "":
            return None
        try:
            number = Decimal(str(raw)) if not isinstance(raw, Decimal) else raw
            return money.from_units(money.to_units(number, scale=self.scale), scale=self.scale)
        except (ArithmeticError, money.NotRepresentable) as error:
            raise exceptions.ValidationError(str(error), code="invalid") from error

    def get_prep_value(self, raw: Any) -> Any:
        if raw is None or hasattr(raw, "resolve_expression"):
            return raw
        return money.to_units(raw, scale=self.scale)

    def value_to_string(self, obj: models.Model) -> str:
        number = self.value_from_object(obj)
        return "" if number is None else str(number)

    @property
    def validators(self) -> list[Any]:
        # The integer range validators of BigIntegerField compare raw numbers; ours are Decimals.
        return list(self._validators)

    def formfield(self, **kwargs: Any) -> forms.Field:
        return models.Field.formfield(
            self, **{"form_class": forms.DecimalField, "decimal_places": self.scale, **kwargs}
        )


class MoneyField(FixedPointField):
    """Money or a price, six decimals."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["scale"] = money.MONEY_SCALE
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["scale"]
        return name, path, args, kwargs


class QuantityField(FixedPointField):
    """A quantity, nine decimals."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["scale"] = money.QUANTITY_SCALE
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["scale"]
        return name, path, args, kwargs
