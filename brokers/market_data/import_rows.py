"""Read a file of bars line by line: columns by name, exact numbers, one clear sentence for each refusal."""

from __future__ import annotations

import csv
import datetime
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from brokers import instruments, money
from brokers.enums import InstrumentKind, Timeframe
from brokers.market_data import calendar

REQUIRED_COLUMNS = ("date", "symbol", "open", "high", "low", "close", "volume")
OPTIONAL_COLUMNS = ("adj_close", "dividend", "split_ratio")
UNPACKED_BYTES_MAX = 4 * 1024**3
BLOCK_BYTES = 1 << 20
SPLIT_TERM_MAX = 10_000
ADJUSTED_SCALE = 12  # of adj_close, which is only compared, never stored; real files give it 8 to 15 decimals

_GZIP_MAGIC = b"\x1f\x8b"
_PLAIN_NUMBER = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?").fullmatch
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_RATIO = re.compile(r"([0-9]{1,5})\s*[:/]\s*([0-9]{1,5})").fullmatch


class FileRefused(Exception):
    """The file as a whole cannot be imported, and nothing was changed; the message is one sentence."""


class RowRefused(Exception):
    """One line cannot be imported; `column` and `value` are empty when the line as a whole is wrong."""

    def __init__(self, message: str, *, column: str = "", value: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.value = value


class Row(NamedTuple):
    """
    One bar as the file says it: prices in units, `at` the start of its period in UTC.

    `adj_close` is in 10^-12 and only good for ratios; `split` is new shares for an old one, 1 for none.
    """

    symbol: str
    session_date: datetime.date
    at: datetime.datetime
    open: int
    high: int
    low: int
    close: int
    volume: int
    adj_close: int | None
    dividend: int
    split: Fraction


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: what it says, or why it is refused."""

    number: int
    row: Row | None
    refusal: RowRefused | None


class BarFile:
    """A file of bars, gzip or plain, that can be read from its start as often as needed."""

    def __init__(self, path: Path, *, timeframe: Timeframe) -> None:
        """Check the whole file: it exists, unpacks, is UTF-8 text and has a header; raises `FileRefused`."""
        self.path = path
        self.timeframe = timeframe
        try:
            if not path.is_file():
                raise FileRefused(f"There is no file {path}.")
            if path.stat().st_size == 0:
                raise FileRefused(f"{path.name} is empty.")
            with path.open("rb") as raw:
                self.is_gzip = raw.read(2) == _GZIP_MAGIC
            self.sha256 = self._checked_sha256()
            self.columns = self._header()
        except OSError as error:
            raise FileRefused(f"{path.name} cannot be read: {error.strerror or error}.") from error

    def lines(self) -> Iterator[Line]:
        """Read every line below the header that is not blank, in the order of the file."""
        parser = RowParser(self.columns, timeframe=self.timeframe)
        with self._text() as text:
            reader = csv.reader(text)
            next(reader)
            while True:
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Line(reader.line_num, None, RowRefused(f"The line is not readable as CSV: {error}."))
                    continue
                if fields:
                    yield _line(parser, reader.line_num, fields)

    def _text(self) -> io.TextIOWrapper:
        # The wrapper closes what it wraps.
        raw = gzip.GzipFile(self.path, "rb") if self.is_gzip else io.FileIO(self.path, "rb")
        return io.TextIOWrapper(io.BufferedReader(raw, BLOCK_BYTES), encoding="utf-8-sig", newline="")

    def _checked_sha256(self) -> str:
        """Read everything once, so that a broken file is known before anything is written."""
        try:
            size = 0
            with self._text() as text:
                while block := text.read(BLOCK_BYTES):
                    size += len(block)
                    if size > UNPACKED_BYTES_MAX:
                        raise FileRefused(f"{self.path.name} is larger than {UNPACKED_BYTES_MAX:,} bytes.")
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise FileRefused(f"{self.path.name} is a damaged gzip file: {error}.") from error
        except UnicodeDecodeError as error:
            raise FileRefused(f"{self.path.name} is not a text file in UTF-8.") from error
        with self.path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()

    def _header(self) -> dict[str, int]:
        try:
            with self._text() as text:
                names = [name.strip().lower() for name in next(csv.reader(text), [])]
        except csv.Error as error:
            raise FileRefused(f"The first line of {self.path.name} is not a CSV header: {error}.") from error
        missing = [name for name in REQUIRED_COLUMNS if name not in names]
        if missing:
            raise FileRefused(
                f"The first line of {self.path.name} must name the columns {', '.join(REQUIRED_COLUMNS)}; "
                f"it lacks {', '.join(missing)}."
            )
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise FileRefused(f"The first line of {self.path.name} names a column twice: {', '.join(twice)}.")
        return {name: number for number, name in enumerate(names)}


def _line(parser: RowParser, number: int, fields: list[str]) -> Line:
    try:
        return Line(number, parser.parse(fields), None)
    except RowRefused as refusal:
        return Line(number, None, refusal)


class RowParser:
    """Turns the fields of a line into a bar; remembers the days and symbols it has checked."""

    def __init__(self, columns: dict[str, int], *, timeframe: Timeframe) -> None:
        self._width = len(columns)
        self._at = [columns[name] for name in REQUIRED_COLUMNS]
        self._optional = [columns.get(name) for name in OPTIONAL_COLUMNS]
        self._start = _day_start if timeframe is Timeframe.DAY else _minute_start
        self._starts: dict[str, tuple[datetime.date, datetime.datetime]] = {}
        self._symbols: set[str] = set()

    def parse(self, fields: list[str]) -> Row:
        """Return the bar of a line or raise `RowRefused` naming its first fault."""
        if len(fields) != self._width:
            raise RowRefused(f"The line has {len(fields)} fields, but the header has {self._width}.")
        date, symbol, *prices, volume = (fields[number].strip() for number in self._at)
        session_date, at = self._checked_start(date)
        opened, high, low, close = (
            _price(text, column) for text, column in zip(prices, ("open", "high", "low", "close"), strict=True)
        )
        self._check_symbol(symbol)
        _check_range(opened, high, low, close)
        adjusted, dividend, split = ("" if number is None else fields[number].strip() for number in self._optional)
        return Row(
            symbol, session_date, at, opened, high, low, close, _volume(volume),
            _adjusted(adjusted) if adjusted else None,
            _dividend(dividend) if dividend else 0,
            _split(split) if split else Fraction(1),
        )  # fmt: skip

    def _checked_start(self, text: str) -> tuple[datetime.date, datetime.datetime]:
        found = self._starts.get(text)
        if found is None:
            found = self._starts[text] = self._start(text)
        return found

    def _check_symbol(self, symbol: str) -> None:
        if symbol in self._symbols:
            return
        try:
            instruments.parse_symbol(symbol, kind=InstrumentKind.EQUITY)
        except instruments.SymbolRefused as error:
            raise RowRefused(str(error), column="symbol", value=symbol) from error
        self._symbols.add(symbol)


# ------------------------------------------------------------------ dates


def _day_start(text: str) -> tuple[datetime.date, datetime.datetime]:
    """Return date and open of the session a daily bar is of."""
    if not _DAY(text):
        raise _bad_date(f"{text!r} is not a date like 2021-03-31.", text)
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise _bad_date(f"{text} is not a day of the calendar.", text) from error
    return day, _session(day, text).open


def _minute_start(text: str) -> tuple[datetime.date, datetime.datetime]:
    """Return session date and start, in UTC, of a minute bar."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad_date(f"{text!r} is not a time like 2021-03-31T13:30:00+00:00.", text) from error
    if found.tzinfo is None:
        raise _bad_date(f"{text} has no time zone; write it as in 2021-03-31T13:30:00+00:00.", text)
    at = found.astimezone(datetime.UTC)
    if at.second or at.microsecond:
        raise _bad_date(f"{text} is not the start of a minute.", text)
    session = _session(calendar.new_york_date(at), text)
    if not session.open <= at < session.close:
        raise _bad_date(f"{text} is outside the session, {session.open:%H:%M} to {session.close:%H:%M} UTC.", text)
    return session.date, at


def _session(day: datetime.date, text: str) -> calendar.Session:
    try:
        found = calendar.session(day)
    except calendar.BeyondCalendar as error:
        raise _bad_date(str(error), text) from error
    if found is None:
        raise _bad_date(f"The exchange had no session on {day}.", text)
    return found


def _bad_date(message: str, text: str) -> RowRefused:
    return RowRefused(message, column="date", value=text)


# ------------------------------------------------------------------ numbers


def _price(text: str, column: str) -> int:
    units = _units(text, column)
    if units <= 0:
        raise RowRefused(f"The {column} of {text} is not above zero.", column=column, value=text)
    return units


def _adjusted(text: str) -> int:
    """Return an adjusted close in 10^-12, further decimals rounded half up."""
    try:
        number = Decimal(text).scaleb(ADJUSTED_SCALE).to_integral_value(ROUND_HALF_UP)
    except InvalidOperation as error:
        raise RowRefused(f"The adj_close of {text!r} is not a number.", column="adj_close", value=text) from error
    if not number.is_finite() or not 0 < number < 10**30:
        raise RowRefused(f"The adj_close of {text} is not a price.", column="adj_close", value=text)
    return int(number)


def _dividend(text: str) -> int:
    units = _units(text, "dividend")
    if units < 0:
        raise RowRefused(f"The dividend of {text} is below zero.", column="dividend", value=text)
    return units


def _units(text: str, column: str) -> int:
    plain = _PLAIN_NUMBER(text)
    if plain is not None:
        whole, decimals = plain.groups()
        return int(whole) * money.MONEY + (int(decimals.ljust(money.MONEY_SCALE, "0")) if decimals else 0)
    return _exact(text, column, scale=money.MONEY_SCALE)


def _volume(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    volume = _exact(text, "volume", scale=0)
    if volume < 0:
        raise RowRefused(f"The volume of {text} is below zero.", column="volume", value=text)
    return volume


def _exact(text: str, column: str, *, scale: int) -> int:
    """Read an unusual spelling, such as 1e3 or -5, exactly."""
    if not text:
        raise RowRefused(f"The {column} is missing.", column=column)
    if not text.isascii() or "_" in text:
        raise RowRefused(f"The {column} of {text!r} is not a number.", column=column, value=text)
    try:
        return money.to_units(text, scale=scale)
    except money.NotRepresentable as error:
        raise RowRefused(f"The {column} cannot be stored: {error}", column=column, value=text) from error


def _split(text: str) -> Fraction:
    """Return new shares for an old one: `2:1`, `2/1`, `2` are 2, `1:8` and `0.125` are 1/8; 0 is none."""
    ratio = _RATIO(text)
    try:
        found = Fraction(int(ratio[1]), int(ratio[2])) if ratio else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise _bad_split(text) from error
    if found == 0:
        return Fraction(1)
    if found < 0 or max(found.numerator, found.denominator) > SPLIT_TERM_MAX:
        raise _bad_split(text)
    return found


def _bad_split(text: str) -> RowRefused:
    return RowRefused(
        f"The split_ratio of {text!r} is not new shares for old ones, such as 2:1 or 0.125.",
        column="split_ratio",
        value=text,
    )


def _check_range(opened: int, high: int, low: int, close: int) -> None:
    if low <= opened <= high and low <= close <= high:
        return
    if low > high:
        raise _out_of_range("low", low, "above the high", high)
    for column, units in (("open", opened), ("close", close)):
        if units < low:
            raise _out_of_range(column, units, "below the low", low)
        if units > high:
            raise _out_of_range(column, units, "above the high", high)


def _out_of_range(column: str, units: int, relation: str, other: int) -> RowRefused:
    value = f"{money.money_value(units):f}"
    return RowRefused(
        f"The {column} of {value} is {relation} of {money.money_value(other):f}.", column=column, value=value
    )
