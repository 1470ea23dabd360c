"""Find the numbers, dates and URLs of a text, and those of them that another text lacks.

Numbers are compared by value: 1,000 and "one thousand" are 1000, whatever the unit. Dates are compared by year, month
and day. The source is read generously (in "1 500" it has 1, 500 and 1500), a claim strictly.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

TOP_LEVEL = "com|org|net|edu|gov|io|dev|app|info|co|uk|de|fr|eu|ai|me|us|ca|au|in"
# Each part is bounded, so that the time is linear in the text.
URL = re.compile(
    r"""(?i)(?:https?|ftp)://[^\s<>()\[\]"'`|]+|(?<![\w@.-])www\.[^\s<>()\[\]"'`|]+"""
    r"|(?<![\w.+@-])[\w.+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,6}"
    rf"|(?<![\w@.-])[a-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}}){{0,5}}\.(?:{TOP_LEVEL})\b(?:/[^\s<>()\[\]\"'`|]*)?"
)
SCHEME = re.compile(r"(?i)^(?:https?://|ftp://)?(?:www\.)?")

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
YEAR = r"(?P<year>\d{4})(?!\d)"
DATES = tuple(
    re.compile(rf"(?i)(?<![\w]){form}")
    for form in (
        rf"{DAY} (?:of )?{MONTH}(?:,? {YEAR})?",
        rf"{MONTH} (?:the )?{DAY}(?!\w)(?:,? {YEAR})?",
        rf"{MONTH},? {YEAR}",
        r"(?P<year>\d{4})-(?P<number>\d{1,2})-(?P<day>\d{1,2})(?!\d)",
    )
)
NUMERIC_DATE = re.compile(r"(?<![\w./])(\d{1,2})([/.])(\d{1,2})\2(\d{4}|\d{2})(?![\w/])")

TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
TO_NINETY = "twenty thirty forty fifty sixty seventy eighty ninety"
SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
NUMBER_WORDS = {word: value for value, word in enumerate(TO_NINETEEN.split())}
NUMBER_WORDS |= {word: 10 * value for value, word in enumerate(TO_NINETY.split(), 2)}
SPELT = rf"(?:{'|'.join([*NUMBER_WORDS, *SCALES])})"
SPELT_NUMBER = re.compile(rf"(?i)\b{SPELT}(?:(?:[ -]| and ){SPELT}){{0,7}}\b")
SPACES = " \u00a0\u2009\u202f'\u2019"
NUMBER = re.compile(
    rf"(?<![^\W_])(?P<digits>\d+(?:[.,]\d+|[{SPACES}]\d{{3}}(?!\d))*)(?:[ -]?(?P<scale>{'|'.join(SCALES)})\b)?",
    re.IGNORECASE,
)
# Words of a source -> the numbers by which a claim may express them.
SAID = {
    "first": ("1",),
    "second": ("2",),
    "third": ("3", "33"),
    "fourth": ("4",),
    "fifth": ("5",),
    "half": ("0.5", "50"),
    "quarter": ("0.25", "25"),
    "twice": ("2",),
    "double": ("2",),
    "pair": ("2",),
    "both": ("2",),
    "couple": ("2",),
    "triple": ("3",),
    "dozen": ("12",),
}
SAYING = re.compile(rf"(?i)\b(?:{'|'.join(SAID)})s?\b")
MAX_SCALED_DIGITS = 20

ANY = "any"

Date = tuple[int | None, int, int | None]
"""Year, month and day."""


class Number(NamedTuple):
    """A number as written, with its possible readings; a reading is one value, or several as in a list."""

    written: str
    readings: tuple[tuple[str, ...], ...]


class Dated(NamedTuple):
    """A date as written, with its possible readings: 3/4/2020 is in March or in April."""

    written: str
    readings: tuple[Date, ...]


class Facts(NamedTuple):
    """The facts of a text, and the text with URLs and dates replaced by spaces."""

    urls: list[str]
    dates: list[Dated]
    numbers: list[Number]
    rest: str


def facts(text: str) -> Facts:
    """Return the URLs and e-mail addresses, dates and numbers of a text."""
    urls = [m[0].rstrip(".,;:!?*_") for m in URL.finditer(text)] if _may_have_url(text) else []
    rest = URL.sub(_blank, text) if urls else text
    dates: list[Dated] = []
    if any(c.isdigit() for c in rest):
        for form in DATES:
            dates += [Dated(m[0], (date,)) for m in form.finditer(rest) if (date := _date(m))]
            rest = form.sub(lambda m: _blank(m) if _date(m) else m[0], rest)
        dates += [Dated(m[0], both) for m in NUMERIC_DATE.finditer(rest) if (both := _numeric_dates(m))]
        rest = NUMERIC_DATE.sub(lambda m: _blank(m) if _numeric_dates(m) else m[0], rest)
    numbers = [_number(m["digits"], m["scale"]) for m in NUMBER.finditer(rest)]
    spelt = [m[0] for m in SPELT_NUMBER.finditer(NUMBER.sub(_blank, rest))]
    return Facts(urls, dates, numbers + [Number(s, ((_spelt(s),),)) for s in spelt if s.lower() != "one"], rest)


class KnownFacts:
    """The facts that a source has."""

    def __init__(self, source: str) -> None:
        """Read the facts of the source."""
        found = facts(source)
        self.rest = found.rest
        self.numbers = {value for number in found.numbers for reading in number.readings for value in reading} | {"1"}
        for m in NUMBER.finditer(source):
            self.numbers |= {_canonical(part) for part in re.split(rf"[{SPACES},]", m["digits"]) if part}
            self.numbers |= {value for reading in _number(m["digits"], None).readings for value in reading}
        for m in SPELT_NUMBER.finditer(source):
            self.numbers |= {str(NUMBER_WORDS[w]) for w in re.split(r"[ -]", m[0].lower()) if w in NUMBER_WORDS}
        for m in SAYING.finditer(source):
            self.numbers |= {*SAID.get(m[0].lower(), ()), *SAID.get(m[0].lower().removesuffix("s"), ())}
        self.dates: set[tuple[int | str | None, ...]] = set()
        for year, month, day in (date for dated in found.dates for date in dated.readings):
            years = {ANY, year, None if year is None else year % 100}
            self.dates |= {(one, month, other) for one in years for other in (ANY, day)}
            self.numbers |= {str(part) for part in (year, month, day) if part is not None}
        self.urls = {part for url in found.urls for part in (plain_url(url), plain_url(url).partition("/")[0])}

    def lacking(self, claimed: Facts) -> list[str]:
        """Return the facts, as written, that the source lacks."""
        return [
            *(url for url in claimed.urls if plain_url(url) not in self.urls),
            *(dated.written for dated in claimed.dates if not any(map(self._has_date, dated.readings))),
            *(number.written for number in claimed.numbers if not self._has_number(number)),
        ]

    def _has_number(self, number: Number) -> bool:
        return any(self.numbers.issuperset(values) for values in number.readings)

    def _has_date(self, date: Date) -> bool:
        """Return whether a date of the source agrees; a year or day that it does not give may stand elsewhere."""
        year, month, day = date
        return any((one, month, other) in self.dates for one in self._years(year) for other in self._parts(day))

    def _years(self, year: int | None) -> set[int | str | None]:
        return self._parts(year) | ({year % 100} if year is not None and year < 100 else set())

    def _parts(self, part: int | None) -> set[int | str | None]:
        """Return the values that a part of a date may have in the source."""
        if part is None:
            return {ANY}
        return {part, None} if str(part) in self.numbers else {part}


def plain_url(url: str) -> str:
    """Return a URL without scheme, `www.` and closing slash, in lower case."""
    return SCHEME.sub("", url).rstrip("/").casefold()


def _may_have_url(text: str) -> bool:
    return "." in text or "://" in text


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _date(match: re.Match[str]) -> Date | None:
    parts = match.groupdict()
    month = MONTHS.index(parts["month"].lower()[:3]) + 1 if parts.get("month") else int(parts["number"])
    year, day = (int(parts[name]) if parts.get(name) else None for name in ("year", "day"))
    return (year, month, day) if 1 <= month <= 12 and (day is None or 1 <= day <= 31) else None


def _numeric_dates(match: re.Match[str]) -> tuple[Date, ...]:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    both = ((year, second, first), (year, first, second))
    return tuple(date for date in both if 1 <= date[1] <= 12 and 1 <= date[2] <= 31)


def _number(digits: str, scale: str | None) -> Number:
    written = f"{digits} {scale}" if scale else digits
    groups = re.split(rf"[{SPACES}]", digits)
    readings: Iterable[tuple[str, ...]]
    if len(groups) > 1:
        apart = tuple(_canonical(group) for group in groups)
        readings = [("".join(groups),), apart] if len(groups[0]) <= 3 else [apart]
    else:
        readings = _comma_readings(digits)
    if scale:
        readings = [(_scaled(values[-1], SCALES[scale.lower()]),) for values in readings]
    return Number(written, tuple(tuple(_canonical(value) for value in values) for values in readings))


def _comma_readings(digits: str) -> list[tuple[str, ...]]:
    """Return the readings of digits with commas and stops, for writers with decimal points and with decimal commas."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        return [(digits.replace(",", ""),)]
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", digits):
        whole = digits.replace(".", "").replace(",", ".")
        return [(whole,), (digits,)] if digits.count(".") == 1 and "," not in digits else [(whole,)]
    if digits.count(",") == 1 and "." not in digits:
        return [(digits.replace(",", "."),), tuple(digits.split(","))]
    return [tuple(digits.split(","))]


def _canonical(value: str) -> str:
    """Return a number without the zeros that do not change it; 1.2.3, a version, stays."""
    whole, _, fraction = value.partition(".")
    if "." in fraction:
        return value
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _scaled(value: str, scale: int) -> str:
    if len(value) > MAX_SCALED_DIGITS or value.count(".") > 1:
        return value
    return format(Decimal(value) * scale, "f")


def _spelt(text: str) -> str:
    """Return the value of a number in words."""
    total = current = 0
    for word in re.split(r"[ -]", text.lower()):
        if word == "hundred":
            current = max(current, 1) * 100
        elif word in SCALES:
            total, current = total + max(current, 1) * SCALES[word], 0
        elif word != "and":
            current += NUMBER_WORDS[word]
    return str(total + current)
