"""Comparisons of numbers with columns: `over 100 units`, `price between 5 and 10`, `older than 30`. Pure."""

from collections.abc import Iterator

from cellblock.adapters.analyst.claims import Found, drop, use
from cellblock.adapters.analyst.columns import Mention, best_for, main_measure
from cellblock.adapters.analyst.moments import TEMPORAL
from cellblock.adapters.analyst.plan import Filter
from cellblock.adapters.analyst.reading import Reading
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.vocabulary import (
    BETWEEN,
    COMPARATIVES,
    COMPARATORS,
    GENERIC,
    PEOPLE,
    SUFFIXES,
    SUM_WORDS,
    UNIT_HINTS,
    VERBS,
)
from cellblock.adapters.analyst.words import parse_number, plain_number, stems, word_set


def nobodys(reading: Reading) -> str:
    """A comparison with a number that no column was found for."""
    for position in range(len(reading.tokens)):
        lead = max((w for w in COMPARATORS if reading.words(position, len(w)) == w), key=len, default=None)
        if lead and lead[0] not in TEMPORAL and reading.free(position):
            number, end = number_at(reading, position + len(lead))
            if number is not None:
                return " ".join(token.text for token in reading.tokens[position:end])
    free = [token.text for n, token in enumerate(reading.tokens) if token.kind == "number" and reading.free(n)]
    return free[0] if free else ""


def comparisons(reading: Reading) -> list[Found]:
    """Numbers compared with columns: `over 100 units`, `price between 5 and 10`, `older than 30`, `age >= 30`."""
    found: list[Found] = []
    for position in range(len(reading.tokens)):
        one = between(reading, position) or comparative(reading, position) or compared(reading, position)
        if one:
            found.append(one)
    return found


def number_at(reading: Reading, position: int) -> tuple[float | None, int]:
    """The number at `position` and where it ends, currency signs and `percent` included."""
    while reading.low(position) in ("$", "€", "£"):
        position += 1
    if not reading.free(position) and not (0 <= position < len(reading.tokens) and reading.roles[position] == "top"):
        return None, position
    number = reading.tokens[position].number
    end = position + 1
    if number is not None and reading.low(end) in ("million", "millions", "thousand"):
        number *= 1e6 if reading.low(end).startswith("million") else 1e3
        end += 1
    while reading.low(end) in ("$", "€", "£", "%", "euro", "euros", "dollars", "usd", "eur", "percent"):
        end += 1
    return number, end


def between(reading: Reading, position: int) -> Found | None:
    lead = next((words for words in BETWEEN if reading.words(position, len(words)) == words), None)
    if not lead:
        return None
    low, middle = number_at(reading, position + len(lead))
    high, end = number_at(reading, middle + 1)
    if low is None or high is None or reading.low(middle) not in (BETWEEN[lead], "and", "to", "-", "–"):
        return None
    values = (plain_number(min(low, high)), plain_number(max(low, high)))
    return claimed(reading, position, end, "between", values)


def comparative(reading: Reading, position: int) -> Found | None:
    """`older than 30`."""
    known = COMPARATIVES.get(reading.low(position))
    if not known or reading.low(position + 1) != "than":
        return None
    number, end = number_at(reading, position + 2)
    columns = [c for c in best_for(known[1], reading.file.columns) if c.kind == "number"]
    if number is None or not columns:
        return None
    for n in range(position, end):
        drop(reading, n)
    reading.claim(range(position, end), "condition")
    return Found(position, end, Filter((columns[0],), known[0], (plain_number(number),)))


def compared(reading: Reading, position: int) -> Found | None:
    """`above 100`, `>= 5`, `at least 3`, `30 or more`."""
    number, end = number_at(reading, position)
    suffix = next((words for words in SUFFIXES if number is not None and reading.words(end, len(words)) == words), None)
    if suffix and number is not None:
        return claimed(reading, position, end + len(suffix), SUFFIXES[suffix], (plain_number(number),))
    lead = max((words for words in COMPARATORS if reading.words(position, len(words)) == words), key=len, default=None)
    if not lead:
        return None
    number, end = number_at(reading, position + len(lead))
    if number is None or (lead == ("from",) and reading.mention_at(position - 1) is None):
        return None
    operator = COMPARATORS[lead]
    if reading.low(position - 1) in ("not", "no") and operator in (">", "<"):
        operator = {">": "<=", "<": ">="}[operator]
    return claimed(reading, position, end, operator, (plain_number(number),))


def claimed(reading: Reading, start: int, end: int, operator: str, values: tuple[int | float, ...]) -> Found | None:
    """The comparison with the column it belongs to: before it, after it, by the verb, or the only one it can be."""
    group = owner(reading, start)
    if group and reading.low(end) in GENERIC:  # `regions with more than 40 orders`
        forget(reading, start, end)
        reading.claim(range(start, end + 1), "condition")
        return Found(start, end, Filter((group.column,), operator, values), having=True)
    mention = column_before(reading, start) or column_after(reading, end)
    column = mention.column if mention else hinted(reading, end) or implied(reading, start, end)
    if column is None:
        return None
    begin = min(start, mention.start) if mention else start
    if mention is None and ranked_group(reading, start, column):
        forget(reading, start, end)
        reading.claim(range(start, end), "condition")
        return Found(begin, end, Filter((column,), operator, values), having=True)
    if column.style == "eu":
        values = tuple(european(reading, start, end)) or values
    condition = Filter((column,), operator, values)
    if mention and aggregated(reading, mention):
        forget(reading, start, end)
        reading.claim(range(start, end), "condition")
        return Found(begin, end, condition, having=True)
    if mention:
        use(reading, mention)
    forget(reading, start, end)
    reading.claim(range(start, end), "condition")
    return Found(begin, end, condition)


def forget(reading: Reading, start: int, end: int) -> None:
    """The words of a comparison are nothing else: the `least` of `at least` ranks nothing."""
    for position in range(start, end):
        drop(reading, position)


def european(reading: Reading, start: int, end: int) -> Iterator[int | float]:
    """The numbers there as a column that writes `1.234,50` means them."""
    for token in reading.tokens[start:end]:
        if token.kind == "number" and (value := parse_number(token.text, european=True)) is not None:
            yield plain_number(value)


def column_before(reading: Reading, start: int) -> Mention | None:
    skip = word_set("is are was were of a an the that has have values value being not no with it column")
    mention = reading.mention_at(reading.before(start, skip))
    return mention if mention and mention.column.kind == "number" and not mention.ambiguous else None


def column_after(reading: Reading, end: int) -> Mention | None:
    position = end
    while reading.low(position) in ("in", "of", "on", "for", "worth", "a", "the"):
        position += 1
    mention = reading.mention_at(position)
    return mention if mention and mention.column.kind == "number" and not mention.ambiguous else None


def hinted(reading: Reading, end: int) -> Column | None:
    """By the unit after the number: `25 degrees`, `30 seconds`."""
    hint = UNIT_HINTS.get(reading.low(end)) or UNIT_HINTS.get(reading.low(end - 1))
    known = best_for(hint, reading.file.numbers()) if hint else []
    return known[0] if len(known) == 1 else None


def implied(reading: Reading, start: int, end: int) -> Column | None:
    """By the verb before it (`earning more than`), the last number column named, or the only one there is."""
    numbers = [column for column in reading.file.of("number") if not column.identifier]
    for position in range(start - 1, max(-1, start - 4), -1):
        if hint := VERBS.get(reading.low(position)):
            known = best_for(hint, numbers)
            if known:
                reading.claim([position], "condition")
                return known[0]
    if reading.low(reading.before(start, frozenset({"aged", "who", "are", "is"}))) in PEOPLE:
        ages = best_for("age", numbers)
        if ages:
            return ages[0]
    named = [m.column for m in reading.mentions if m.column.kind == "number" and m.end <= start]
    if named:
        return named[-1]
    return None if UNIT_HINTS.get(reading.low(end)) else main_measure(numbers)


def aggregated(reading: Reading, mention: Mention) -> bool:
    """Whether the column compared is an aggregate: `departments with average salary above 50000`."""
    keyword = reading.keyword_at(reading.before(mention.start))
    if keyword is None and set(stems(mention.column.name)) & SUM_WORDS and owner(reading, mention.start):
        return True
    return (
        keyword is not None
        and keyword.meaning.slot == "aggregate"
        and keyword.start > 0
        and any(m.column.kind in ("text", "bool", "date") for m in reading.mentions)
        and bool(
            {"with", "whose", "where", "having", "have"}
            & {t.low for t in reading.tokens[max(0, keyword.start - 3) : keyword.start]}
        )
    )


def owner(reading: Reading, start: int) -> Mention | None:
    """The group in `products with revenue …`, `regions that have more than …`: a text column whose values repeat."""
    lead = reading.before(start, word_set("a an the that"))
    if reading.low(lead) not in ("with", "whose", "having", "have", "had"):
        return None
    group = reading.mention_at(reading.before(lead, word_set("that which who")))
    fits = group is not None and group.column.kind == "text" and not reading.file.is_key(group.column)
    return group if fits else None


def ranked_group(reading: Reading, start: int, measure: Column) -> bool:
    """`revenue by region, only regions above 60000`: a group is compared by the measure it is grouped for."""
    group = reading.mention_at(reading.before(start, word_set("with is are a the")))
    if group is None or group.column.kind != "text":
        return False
    named = [m.column for m in reading.mentions if m.start < group.start]
    return measure in named and group.column in named
