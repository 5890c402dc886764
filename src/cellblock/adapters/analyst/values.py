"""Conditions on values: `in the North`, `where region is Foo`, `status 404`, `who are remote`. Pure."""

import re
from collections.abc import Sequence

from cellblock.adapters.analyst.claims import Found, drop, negated, use
from cellblock.adapters.analyst.columns import Mention
from cellblock.adapters.analyst.plan import Filter
from cellblock.adapters.analyst.reading import Keyword, Reading
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.vocabulary import (
    CODES,
    GENERIC,
    PEOPLE,
    STOPWORDS,
    Meaning,
)
from cellblock.adapters.analyst.words import fold, plain_number, singular, stems, word_set

PLACES = word_set(
    """
    in for from within at only of is are was = == : and or not vs versus than on with , between
    """
)


COPULAS = word_set("is are was were be being = == : equals named called am")


VALUE_WORDS = {"yes": True, "true": True, "no": False, "false": False}


GENDERS = {"female": "F", "females": "F", "women": "F", "woman": "F", "male": "M", "males": "M", "men": "M", "man": "M"}


LONGEST_VALUE = 7


def codes(reading: Reading) -> list[Found]:
    """`500 errors`, `share of 404`: a bare number among the values of the one column of codes."""
    kinds = [column for column in reading.file.of("number") if column.whole and set(stems(column.name)) & CODES]
    found: list[Found] = []
    for position, token in enumerate(reading.tokens):
        bare = token.kind == "number" and token.number is not None and reading.free(position)
        if bare and len(kinds) == 1 and reading.low(position + 1) not in MEASURES_OF_COUNT | {"th", "percentile"}:
            reading.claim([position], "condition")
            value = plain_number(token.number or 0)
            found.append(Found(position, position + 1, Filter((kinds[0],), "==", (value,))))
    return found


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
        (option for option in options if (option in known and len(option) > 1) or (option == letter and letter)), ""
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
        loud = len(span[0].text) > 1 and span[0].text.isupper() and not reading.text.isupper()
        return as_written and span[0].text not in ("a", "A", "I") and (loud or placed(reading, start))
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
    if reading.roles[position] == "condition":
        return None
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


RATES = word_set("rate rates share percentage proportion fraction percent ratio")


def flags(reading: Reading) -> list[Filter]:
    """Yes-or-no columns as adjectives: `how many are remote`, `employees who are not active`, `readmission rate`."""
    found = []
    for mention in [m for m in reading.mentions if m.column.kind == "bool" and not m.ambiguous]:
        lead = reading.low(reading.before(mention.start, frozenset({"not", "the", "been", "being", "got"})))
        rated = reading.low(mention.end) in RATES
        said = lead in ("are", "is", "were", "was", "who", "that", "only", "have", "had", "has")
        said = said or reading.low(mention.end) in GENERIC | PEOPLE
        if any(token.low in ("vs", "versus") for token in reading.tokens):
            continue
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
