"""The conditions of a question: `in the North`, `only 2023`, `salary above 50k`, `between March and May`. Pure.

Every finder claims the words it understood, so that none is understood twice; the order of `FINDERS` is the order of
precedence.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cellblock.adapters.analyst.columns import Mention, best_for, main_measure
from cellblock.adapters.analyst.plan import Filter
from cellblock.adapters.analyst.reading import CONNECTORS, Keyword, Reading
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.vocabulary import (
    BETWEEN,
    COMPARATIVES,
    COMPARATORS,
    MONTHS,
    NEGATIONS,
    SEASONS,
    UNIT_HINTS,
    Meaning,
    PEOPLE,
    STOPWORDS,
    SUFFIXES,
    SUM_WORDS,
    VERBS,
    WEEKDAYS,
)
from cellblock.adapters.analyst.words import Token, fold, plain_number, singular, stems

LITTLE = frozenset("the a an in for from of with at is are was were be on to only just by all".split())
PLACES = frozenset(
    "in for from within at only of is are was = == : and or not vs versus than on with , between".split()
)
TEMPORAL = frozenset(
    "in during for only of since before after until from year by and or to , - through till on within".split()
)
COPULAS = frozenset("is are was were be being = == : equals named called am".split())
VALUE_WORDS = {"yes": True, "true": True, "no": False, "false": False}
GENDERS = {"female": "F", "females": "F", "women": "F", "woman": "F", "male": "M", "males": "M", "men": "M", "man": "M"}
LONGEST_VALUE = 7


@dataclass(frozen=True, slots=True)
class Conditions:
    """Filters, the one on aggregated values, and what was asked for but cannot be found or told apart."""

    filters: tuple[Filter, ...] = ()
    having: Filter | None = None
    parts: tuple[Filter, ...] = ()
    unclear: str = ""
    both: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A condition and where it stands."""

    start: int
    end: int
    condition: Filter


def find_conditions(reading: Reading) -> Conditions:
    """The conditions of a question; claims their words and takes their mentions away."""
    found = [
        *emptiness(reading),
        *texts(reading),
        *temporal(reading),
        *known_values(reading),
        *stated_values(reading),
        *comparisons(reading),
        *weekdays(reading),
        *seasons(reading),
    ]
    parts = flags(reading)
    having = [one.condition for one in found if is_having(reading, one)]
    plain = [one.condition for one in found if one.condition not in having]
    if not reading.has("share"):
        plain, parts = [*plain, *parts], []
    both = any(reading.low(one.end) == "and" and "value" in reading.roles[one.end + 1 : one.end + 4] for one in found)
    return Conditions(tuple(merge(plain)), having[0] if having else None, tuple(parts), nobodys(reading), both)


def nobodys(reading: Reading) -> str:
    """A comparison with a number that no column was found for."""
    for position in range(len(reading.tokens)):
        lead = max((w for w in COMPARATORS if reading.words(position, len(w)) == w), key=len, default=None)
        if lead and lead[0] not in TEMPORAL and reading.free(position):
            number, end = number_at(reading, position + len(lead))
            if number is not None:
                return " ".join(token.text for token in reading.tokens[position:end])
    return ""


def merge(conditions: Sequence[Filter]) -> Iterator[Filter]:
    """Several values wanted of the same columns are alternatives; everything else must hold together."""
    done: set[int] = set()
    for n, one in enumerate(conditions):
        if n in done:
            continue
        same = [
            (m, other)
            for m, other in enumerate(conditions)
            if m not in done
            and one.operator in ("==", "!=")
            and (other.columns, other.operator, other.unit) == (one.columns, one.operator, one.unit)
        ]
        done.update(m for m, _ in same)
        values = tuple(dict.fromkeys(value for _, other in same for value in other.values))
        if len(values) > 1:
            yield Filter(one.columns, "in" if one.operator == "==" else "not in", values, one.unit)
        else:
            yield one


def negated(reading: Reading, start: int) -> bool:
    """Whether `not`, `except` … stands before the words at `start`, or before the list they continue."""
    position = start - 1
    for _ in range(6):
        while position >= 0 and (reading.low(position) in LITTLE or reading.roles[position] == "column"):
            position -= 1
        if position < 0:
            return False
        if reading.low(position) in NEGATIONS or reading.words(position - 1, 2) in (("other", "than"), ("all", "but")):
            reading.claim([position], "condition")
            return True
        if reading.low(position) not in CONNECTORS | {"or", "nor"} and reading.roles[position] != "value":
            return False
        position -= 1
    return False


def use(reading: Reading, mention: Mention | None) -> None:
    """Take a mention away: it belongs to a condition now."""
    if mention in reading.mentions:
        reading.mentions.remove(mention)
        reading.claim(range(mention.start, mention.end), "condition")


# --- values ----------------------------------------------------------------------------------------------------------


def known_values(reading: Reading) -> list[Found]:
    """Words that are values of text columns, as the sample shows them."""
    known = value_index(reading.file.columns)
    found = []
    position = 0
    while position < len(reading.tokens):
        end = next(
            (
                e
                for e in range(min(position + LONGEST_VALUE, len(reading.tokens)), position, -1)
                if names_value(reading, position, e, known)
            ),
            0,
        )
        if end:
            found.append(value_condition(reading, position, end, known[value_key(reading, position, end, known)]))
        position = end or position + 1
    return found


def value_index(columns: Sequence[Column]) -> dict[str, list[tuple[Column, object]]]:
    """Folded value → where it stands. Numbers and dates are no such values."""
    index: dict[str, list[tuple[Column, object]]] = {}
    for column in columns:
        if column.kind == "text":
            for value in column.sample:
                key = " ".join(fold(str(value)).split())
                if key and (column, value) not in index.setdefault(key, []):
                    index[key].append((column, value))
    return index


def span_text(reading: Reading, start: int, end: int) -> str:
    first, last = reading.tokens[start], reading.tokens[end - 1]
    if end == start + 1:
        return first.text
    return " ".join(reading.text[first.start : last.end].split())


def value_key(reading: Reading, start: int, end: int, known: dict[str, list[tuple[Column, object]]]) -> str:
    """The key of `known` that these tokens name: as written, singular, plural, or a gender's letter."""
    text = fold(span_text(reading, start, end))
    if text in known:
        return text
    if reading.tokens[start].kind == "quoted":
        return ""
    options = [singular(text), text + "s", text.replace("-", " ")]
    if text.endswith("y"):  # rainy, sunny, cloudy
        options += [text[:-1], text[:-2], text[:-1] + "s"]
    if re.fullmatch(r"[A-Z]{2,4}", reading.tokens[start].text):
        options += [key for key in known if "".join(word[0] for word in key.split()) == text]
    letter = GENDERS.get(text, "").casefold()
    if letter and any("gender" in stems(c.name) or "sex" in stems(c.name) for c, _ in known.get(letter, ())):
        options.append(letter)
    options += [w for w in ("female", "male") if GENDERS.get(text) == GENDERS[w]]
    return next(
        (option for option in options if option in known and len(option) > 1 or option == letter and letter), ""
    )


def names_value(reading: Reading, start: int, end: int, known: dict[str, list[tuple[Column, object]]]) -> bool:
    """Whether these tokens are meant as a value, and not as a column, a keyword or a little word."""
    key = value_key(reading, start, end, known)
    if not key:
        return False
    span = reading.tokens[start:end]
    if any(reading.roles[n] in ("condition", "value") for n in range(start, end)):
        return False
    if span[0].kind == "quoted":
        return reading.mention_at(start) is None
    as_written = any(str(value) == span_text(reading, start, end) for _, value in known[key])
    if len(span) == 1 and (len(span[0].text) == 1 or span[0].low in STOPWORDS or span[0].kind == "number"):
        return as_written and span[0].text not in ("a", "A", "I") and placed(reading, start)
    claimed = [reading.mention_at(n) for n in range(start, end)]
    strong = [m for m in claimed if m is not None]
    if strong:
        return outranks_column(reading, start, end, strong)
    keywords = [reading.keyword_at(n) for n in range(start, end)]
    return not any(keywords) or (placed(reading, start) and as_written)


def outranks_column(reading: Reading, start: int, end: int, mentions: Sequence[Mention]) -> bool:
    """A value beats a column it shares words with when it is longer, or when the column is only a guess."""
    if any(m.start < start or m.end > end for m in mentions):
        return False
    if end - start > max(m.end - m.start for m in mentions):
        return True
    return placed(reading, start) and min(m.level for m in mentions) > 1


def placed(reading: Reading, start: int) -> bool:
    """Whether a word before it makes a value likely: `in`, `for`, `is`, or the column's own name."""
    position = reading.before(start)
    return (
        reading.low(position) in PLACES - {"of"} or reading.mention_at(position) is not None if position >= 0 else False
    )


def value_condition(reading: Reading, start: int, end: int, places: list[tuple[Column, object]]) -> Found:
    """The condition a known value stands for; the column's name beside it is used up with it."""
    columns = [column for column, _ in places]
    near = beside(reading, start, end, columns)
    chosen = [near.column] if near else list(dict.fromkeys(columns))
    values = tuple(dict.fromkeys(value for column, value in places if column in chosen))
    for n in range(start, end):
        drop(reading, n)
    operator = "!=" if negated(reading, start) else "=="
    if near:
        use(reading, near)
    reading.claim(range(start, end), "value")
    if len(values) > 1:
        return Found(start, end, Filter(tuple(chosen), "in" if operator == "==" else "not in", values))
    return Found(start, end, Filter(tuple(chosen), operator, values))


def drop(reading: Reading, position: int) -> None:
    """Forget what a word was taken for: it is part of a value."""
    if mention := reading.mention_at(position):
        reading.mentions.remove(mention)
    if keyword := reading.keyword_at(position):
        reading.keywords.remove(keyword)


def beside(reading: Reading, start: int, end: int, columns: Sequence[Column]) -> Mention | None:
    """A mention of one of these columns right before or after: `region is North`, `the North region`."""
    position = start - 1
    while position >= 0 and (reading.low(position) in COPULAS | {"the", "in", "a", "not", "!=", "of", "equal", "to"}):
        position -= 1
    for place in (position, end):
        mention = reading.mention_at(place)
        grouped = mention is not None and reading.low(reading.before(mention.start)) in ("by", "per", "each")
        if mention and not grouped:
            column = next((c for c in mention.columns if c in columns), None)
            if column:
                return (
                    Mention(mention.start, mention.end, (column,), mention.level, mention.words)
                    if False
                    else narrowed(reading, mention, column)
                )
    return None


def narrowed(reading: Reading, mention: Mention, column: Column) -> Mention:
    """The same mention, now only of `column`."""
    if not mention.ambiguous:
        return mention
    single = Mention(mention.start, mention.end, (column,), mention.level, mention.words)
    reading.mentions[reading.mentions.index(mention)] = single
    return single


def stated_values(reading: Reading) -> list[Found]:
    """`where region is Foo`, `region = "Foo"`, `status 404`: values the sample does not show."""
    found = []
    for mention in list(reading.mentions):
        one = stated_value(reading, mention)
        if one:
            use(reading, mention)
            found.append(one)
    return found


def stated_value(reading: Reading, mention: Mention) -> Found | None:
    position, operator = after_copula(reading, mention)
    if not operator or position >= len(reading.tokens):
        return None
    token = reading.tokens[position]
    value, end = stated(reading, mention.column, position)
    if value is None:
        return None
    bare = position == mention.end
    if bare and (token.kind != "number" or grouped(reading, mention) or reading.low(position + 1) in MEASURES_OF_COUNT):
        return None
    drop(reading, position)
    reading.claim(range(mention.end, end), "value")
    return Found(mention.start, end, Filter((mention.column,), operator, (value,)))


MEASURES_OF_COUNT = frozenset({"bins", "bin", "buckets", "rows", "records"})


def grouped(reading: Reading, mention: Mention) -> bool:
    return reading.low(reading.before(mention.start)) in ("by", "per", "each", "top", "bottom")


def after_copula(reading: Reading, mention: Mention) -> tuple[int, str]:
    """Where the value begins after `region is`, and the operator; an empty operator when nothing is stated."""
    position = mention.end
    operator = "=="
    while reading.low(position) in COPULAS | {"not", "!=", "<>", "≠", "equal", "to", "isn't", "aren't"}:
        if reading.low(position) in ("not", "!=", "<>", "≠", "isn't", "aren't"):
            operator = "!="
        position += 1
    while reading.low(position) in ("the", "a", "an", "in", "of", "exactly") and position > mention.end:
        position += 1
    asked = reading.low(mention.start - 1) in ("what", "which", "how") or reading.low(mention.start - 2) in (
        "what",
        "how",
    )
    return position, "" if asked and reading.low(0) in ("what", "which", "how") and position > mention.end else operator


def stated(reading: Reading, column: Column, position: int) -> tuple[object | None, int]:
    """The value at `position` as this column would hold it, and where it ends."""
    token = reading.tokens[position]
    if column.kind == "bool" and token.low in VALUE_WORDS:
        return VALUE_WORDS[token.low], position + 1
    if column.kind == "number":
        wanted = token.number is not None and (token.kind == "number" or token.low not in STOPWORDS)
        return (plain_number(token.number or 0) if wanted else None), position + 1
    if column.kind != "text" or reading.roles[position] in ("value", "condition"):
        return None, position + 1
    if token.kind in ("quoted", "number"):
        return token.text, position + 1
    return stated_words(reading, position)


def stated_words(reading: Reading, position: int) -> tuple[object | None, int]:
    """Capitalised words, or one plain word nobody else claims."""
    token = reading.tokens[position]
    if token.kind != "word" or reading.roles[position] or token.low in STOPWORDS - {"other", "another"}:
        return None, position + 1
    end = position + 1
    while token.text[:1].isupper() and end < len(reading.tokens) and reading.tokens[end].text[:1].isupper():
        end += 1
    return span_text(reading, position, end), end


def unknown_values(reading: Reading) -> list[str]:
    """Capitalised words after `in`, `for`, `from`, `only` that no sample shows; claims them."""
    found = []
    for position in reading.left_over():
        token = reading.tokens[position]
        lead = reading.low(reading.before(position))
        owner = token.low.endswith("'s")
        stated_so = lead in (
            "in",
            "for",
            "from",
            "only",
            "at",
            "named",
            "called",
            "about",
            "except",
            "excluding",
            "without",
        )
        if (token.kind == "quoted" or token.text[:1].isupper()) and (owner or (position and stated_so)):
            end = position + 1
            while end < len(reading.tokens) and reading.free(end) and reading.tokens[end].text[:1].isupper():
                end += 1
            found.append(re.sub(r"['’]s$", "", span_text(reading, position, end)))
            reading.claim(range(position, end), "value")
    return found


RATES = frozenset("rate rates share percentage proportion fraction percent ratio".split())


def flags(reading: Reading) -> list[Filter]:
    """Yes-or-no columns as adjectives: `how many are remote`, `employees who are not active`, `readmission rate`."""
    found = []
    for mention in [m for m in reading.mentions if m.column.kind == "bool" and not m.ambiguous]:
        lead = reading.low(reading.before(mention.start, frozenset({"not", "the", "been", "being", "got"})))
        rated = reading.low(mention.end) in RATES
        said = lead in ("are", "is", "were", "was", "who", "that", "only", "have", "had", "has")
        counted = reading.has("aggregate", "count") or reading.has("share") or reading.has("rows")
        if lead in ("by", "per", "each", "and", ",") or not (said or counted or rated):
            continue
        if rated:
            drop(reading, mention.end)
            reading.claim([mention.end], "share")
            reading.keywords.append(Keyword(mention.end, mention.end + 1, Meaning("share", "yes")))
        value = not negated(reading, mention.start)
        use(reading, mention)
        found.append(Filter((mention.column,), "==", (value,)))
    return found


def emptiness(reading: Reading) -> list[Found]:
    """`where age is missing`, `with no email`, `age is not null`."""
    found = []
    for mention in list(reading.mentions):
        position = mention.end
        while reading.low(position) in ("is", "are", "was", "not"):
            position += 1
        keyword = reading.keyword_at(position)
        stated_so = position > mention.end or reading.low(mention.start - 1) in ("where", "with", "whose")
        if (
            keyword
            and keyword.meaning.value == "missing"
            and stated_so
            and reading.low(0) not in ("how", "is", "are", "what")
        ):
            operator = "filled" if "not" in reading.words(mention.end, position - mention.end) else "empty"
            reading.keywords.remove(keyword)
            reading.claim(range(mention.start, keyword.end), "condition")
            use(reading, mention)
            found.append(Found(mention.start, keyword.end, Filter((mention.column,), operator)))
    return found


TEXT_TESTS = {
    ("contains",): "contains",
    ("containing",): "contains",
    ("contain",): "contains",
    ("includes",): "contains",
    ("including",): "contains",
    ("starts", "with"): "starts",
    ("starting", "with"): "starts",
    ("begins", "with"): "starts",
    ("beginning", "with"): "starts",
    ("start", "with"): "starts",
}


def texts(reading: Reading) -> list[Found]:
    """`name contains "an"`, `product starts with A`."""
    found = []
    for position in range(len(reading.tokens)):
        words = next((w for w in TEXT_TESTS if reading.words(position, len(w)) == w), None)
        mention = reading.mention_at(reading.before(position, frozenset({"that", "which"}))) if words else None
        end = position + len(words or ()) + 1
        if not words or not mention or end > len(reading.tokens):
            continue
        value = reading.tokens[end - 1].text
        drop(reading, end - 1)
        use(reading, mention)
        reading.claim(range(mention.start, end), "value")
        found.append(Found(mention.start, end, Filter((mention.column,), TEXT_TESTS[words], (value,))))
    return found


# --- comparisons -----------------------------------------------------------------------------------------------------


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
    mention = column_before(reading, start) or column_after(reading, end)
    column = mention.column if mention else hinted(reading, end) or implied(reading, start, end)
    if column is None:
        return None
    begin = min(start, mention.start) if mention else start
    condition = Filter((column,), operator, values)
    if mention and aggregated(reading, mention):
        reading.claim(range(start, end), "condition")
        return Found(begin, end, condition)
    if mention:
        use(reading, mention)
    for n in range(start, end):
        drop(reading, n)
    reading.claim(range(start, end), "condition")
    return Found(begin, end, condition)


def column_before(reading: Reading, start: int) -> Mention | None:
    skip = frozenset("is are was were of a an the that has have values value being not no with it column".split())
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


def is_having(reading: Reading, one: Found) -> bool:
    mention = next((m for m in reading.mentions if m.start == one.start and one.condition.columns == (m.column,)), None)
    return mention is not None and aggregated(reading, mention)


# --- time ------------------------------------------------------------------------------------------------------------

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
    if ranged and following:
        operator, end, values = "between", following.end, (moment.value, following.value)
    else:
        end, values = moment.end, (moment.value,)
        if negated(reading, moment.start):
            operator = "!="
    if operator == "==" and moment.unit == "year" and not year_is_meant(reading, moment):
        return None
    for n in range(lead, end):
        drop(reading, n)
    use(reading, named if named and named.column == column else None)
    reading.claim(range(lead, end), "condition")
    return Found(lead, end, Filter((column,), operator, values, unit))


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
        days = (WEEKDAYS[token.low],) if token.low in WEEKDAYS else ()
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
