"""Conditions on time: years, quarters, months, seasons, days and weekdays, alone, compared or as a range. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cellblock.adapters.analyst.claims import Found, drop, negated, use
from cellblock.adapters.analyst.plan import Filter
from cellblock.adapters.analyst.reading import Reading
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.vocabulary import (
    COMPARATORS,
    MONTHS,
    SEASONS,
    WEEKDAYS,
)
from cellblock.adapters.analyst.words import Token, stems, word_set

TEMPORAL = word_set(
    """
    in during for only of since before after until from year by and or to , - through till on within
    """
)


QUARTER = re.compile(r"q([1-4])")


ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}


@dataclass(frozen=True, slots=True)
class Moment:
    """A time named in the question: a value of this unit, at tokens `start` to `end`."""

    start: int
    end: int
    unit: str
    value: object


def temporal(reading: Reading) -> list[Found]:
    """Years, months, quarters and days, alone, compared, or as a range."""
    date = date_column(reading)
    years = [column for column in reading.file.columns if stems(column.name)[-1:] in (("year",), ("jahr",))]
    year = next((column for column in years if column.kind == "number"), None)
    if date is None and year is None:
        return []
    found: list[Found] = []
    moments = list(find_moments(reading, has_date=date is not None))
    for moment in moments:
        if all(reading.roles[n] != "condition" for n in range(moment.start, moment.end)):
            condition = time_condition(reading, moment, moments, date, year)
            if condition:
                found.append(condition)
    return found


def date_column(reading: Reading) -> Column | None:
    named = [m.column for m in reading.mentions if m.column.kind == "date" and not m.ambiguous]
    dates = [*named, *reading.file.of("date")]
    return dates[0] if dates else None


def find_moments(reading: Reading, *, has_date: bool) -> Iterator[Moment]:
    position = 0
    while position < len(reading.tokens):
        moment = moment_at(reading, position) if reading.free(position) or is_month(reading, position) else None
        if moment and (has_date or moment.unit == "year"):
            yield moment
        position = moment.end if moment else position + 1


def is_month(reading: Reading, position: int) -> bool:
    return reading.low(position) in MONTHS and reading.roles[position] == ""


def moment_at(reading: Reading, position: int) -> Moment | None:
    token = reading.tokens[position]
    if token.kind == "date":
        return written_date(token, position)
    if token.kind == "number":
        return year_at(reading, position)
    if token.low in MONTHS and (token.text[:1].isupper() or reading.low(position - 1) in TEMPORAL):
        return month_at(reading, position)
    quarter = QUARTER.fullmatch(token.low)
    if quarter:
        return Moment(position, position + 1, "quarter of year", int(quarter[1]))
    if token.low in ORDINALS and reading.low(position + 1) == "quarter":
        return Moment(position, position + 2, "quarter of year", ORDINALS[token.low])
    return None


def year_at(reading: Reading, position: int) -> Moment | None:
    """A number that can only be a year: four digits, and not the limit of a comparison with a column."""
    token = reading.tokens[position]
    if not re.fullmatch(r"(19|20)\d\d", token.text):
        return None
    lead = reading.low(position - 1)
    mention = reading.mention_at(position - 1) or reading.mention_at(position - 2)
    compares = any(reading.words(position - len(w), len(w)) == w for w in COMPARATORS if w[0] not in TEMPORAL)
    if (compares and (mention is None or "year" not in stems(mention.column.name))) or lead in ("$", "€", "£", "top"):
        return None
    return Moment(position, position + 1, "year", int(token.text))


def month_at(reading: Reading, position: int) -> Moment:
    following = reading.tokens[position + 1] if position + 1 < len(reading.tokens) else None
    if following and re.fullmatch(r"(19|20)\d\d", following.text):
        return Moment(position, position + 2, "month", f"{following.text}-{MONTHS[reading.low(position)]:02}")
    return Moment(position, position + 1, "month of year", MONTHS[reading.low(position)])


def written_date(token: Token, position: int) -> Moment | None:
    """`2024-03-05`, `2024-03`, `5.3.2024`; with slashes, the month first unless it cannot be."""
    parts = [int(part) for part in re.split(r"[-./]", token.text)]
    if "-" in token.text and len(parts) == 2:
        return Moment(position, position + 1, "month", f"{parts[0]}-{parts[1]:02}")
    if "-" in token.text:
        year, month, day = parts
    elif "." in token.text:
        day, month, year = parts
    else:
        month, day, year = parts if parts[0] <= 12 else (parts[1], parts[0], parts[2])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return Moment(position, position + 1, "day", f"{year}-{month:02}-{day:02}")


def time_condition(
    reading: Reading, moment: Moment, moments: Sequence[Moment], date: Column | None, year: Column | None
) -> Found | None:
    """The condition a moment stands for: a range with the next moment, a comparison, or equality."""
    start = reading.before(moment.start)
    following = next((m for m in moments if m.start > moment.start), None)
    if following and following.unit == "month" and moment.unit == "month of year" and following.start == moment.end + 1:
        moment = replace(moment, unit="month", value=f"{str(following.value)[:4]}-{moment.value:02}")
    following = following if following and following.unit == moment.unit else None
    joiner = reading.low(following.start - 1) if following and following.start == moment.end + 1 else ""
    ranged = joiner in ("to", "-", "until", "through", "till") or (joiner == "and" and reading.low(start) == "between")
    column, unit = (year, "") if moment.unit == "year" and year else (date, moment.unit)
    if column is None:
        return None
    named = reading.mention_at(start)
    operator, lead = time_operator(reading, moment, start)
    end, values = moment.end, [moment.value]
    if ranged and following:
        operator, end, values = "between", following.end, [moment.value, following.value]
    elif negated(reading, moment.start):
        operator = "!="
    if operator == "==" and moment.unit == "year" and not year_is_meant(reading, moment):
        return None
    for n in range(lead, end):
        drop(reading, n)
    use(reading, named if named and named.column == column else None)
    reading.claim(range(lead, end), "condition")
    return Found(lead, end, Filter((column,), operator, tuple(values), unit))


def time_operator(reading: Reading, moment: Moment, start: int) -> tuple[str, int]:
    """The operator before a moment and where its words begin."""
    for length in (3, 2, 1):
        first = moment.start - length
        operator = COMPARATORS.get(reading.words(first, length)) if first >= 0 else None
        if operator and reading.words(first, length) != ("from",):
            return operator, first
    return "==", moment.start


def year_is_meant(reading: Reading, moment: Moment) -> bool:
    """`top 2000` and `2000 rows` are no years; everything else that looks like one is."""
    after = reading.low(moment.end)
    return after not in ("rows", "records", "units", "items", "bins") and reading.low(moment.start - 1) not in (
        "top",
        "first",
    )


def seasons(reading: Reading) -> list[Found]:
    """`in winter`: its months, on the northern half of the world."""
    dates = reading.file.of("date")
    found: list[Found] = []
    for position, token in enumerate(reading.tokens):
        if (
            token.low in SEASONS
            and dates
            and reading.free(position)
            and reading.low(reading.before(position)) in TEMPORAL
        ):
            reading.claim([position], "condition")
            found.append(Found(position, position + 1, Filter((dates[0],), "in", SEASONS[token.low], "month of year")))
    return found


def weekdays(reading: Reading) -> list[Found]:
    """`on Mondays`, `at weekends`."""
    dates = reading.file.of("date")
    found: list[Found] = []
    for position, token in enumerate(reading.tokens):
        days: tuple[str, ...] = (WEEKDAYS[token.low],) if token.low in WEEKDAYS else ()
        if token.low in ("weekend", "weekends"):
            days = ("Saturday", "Sunday")
        if days and dates and reading.free(position):
            operator = (
                ("not in" if len(days) > 1 else "!=")
                if negated(reading, position)
                else ("in" if len(days) > 1 else "==")
            )
            reading.claim([position], "condition")
            found.append(Found(position, position + 1, Filter((dates[0],), operator, days, "weekday")))
    return found
