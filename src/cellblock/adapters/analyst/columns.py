"""Which words of a question name which columns: from exact names to abbreviations, typos and synonyms. Pure.

A word is given to the strictest level that knows it. A level that knows several columns is ambiguous and says so:
nobody is well served by the wrong column.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from os.path import commonprefix

from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.vocabulary import (
    ABBREVIATIONS,
    MONEY,
    SINGLE_WORDS,
    STOPWORDS,
    SYNONYMS,
    UNITS_OF_MEASURE,
)
from cellblock.adapters.analyst.words import CACHED, Token, fold, is_typo, pieces, singular, stems, word_set

LONGEST = 6
"""Words of a question that may name one column together."""


@dataclass(frozen=True, slots=True)
class Mention:
    """Tokens `start` to `end` (exclusive) name `columns`; more than one column means ambiguous. Level 0 is exact."""

    start: int
    end: int
    columns: tuple[Column, ...]
    level: int
    words: str

    @property
    def column(self) -> Column:
        return self.columns[0]

    @property
    def ambiguous(self) -> bool:
        return len(self.columns) > 1


@lru_cache(CACHED)
def canonical(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words with abbreviations spelt out."""
    return tuple(ABBREVIATIONS.get(word, word) for word in words)


@lru_cache(CACHED)
def without_unit(words: tuple[str, ...]) -> tuple[str, ...]:
    """`response time ms` → `response time`; a name that is all units stays."""
    kept = words
    while len(kept) > 1 and kept[-1] in UNITS_OF_MEASURE:
        kept = kept[:-1]
    return kept


@lru_cache(CACHED)
def synonyms(word: str) -> frozenset[str]:
    """Everything that may stand for a word, itself included."""
    return frozenset({word}).union(*(group for group in SYNONYMS if word in group))


Level = Callable[[tuple[str, ...], tuple[str, ...]], bool]
"""Whether asked words name a column of these words."""


def exact(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    return "".join(asked) == "".join(named)


def same_words(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    """The same words in any order, abbreviations spelt out and units left off: `max temperature`, `temp_max_c`."""
    bare = canonical(without_unit(named))
    return canonical(asked) == bare or (len(asked) > 1 and sorted(canonical(asked)) == sorted(bare))


def part(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    """Some of the column's words: `date` of `order_date`."""
    bare = canonical(without_unit(named))
    wanted = canonical(asked)
    return len(wanted) < len(bare) and set(wanted) <= set(bare)


def start_of(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    """One word cut short, either side: `temp` and `temperature`, `dept` and `department`."""
    a, b = "".join(asked), "".join(without_unit(named))
    return (
        min(len(a), len(b)) >= 4
        and (a.startswith(b) or b.startswith(a))
        and len(asked) == 1 == len(without_unit(named))
    )


def misspelt(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    a = "".join(asked)
    return is_typo(a, "".join(named)) or is_typo(a, "".join(without_unit(named)))


def misspelt_part(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    return len(asked) == 1 and len(named) > 1 and any(is_typo(asked[0], word) for word in named)


def synonym(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    bare = canonical(without_unit(named))
    return len(asked) == 1 == len(bare) and bool(bare[0] in synonyms(canonical(asked)[0]))


def synonym_part(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    """A synonym of one of the column's words; of longer requests every word must find its own."""
    bare = canonical(without_unit(named))
    return len(bare) >= len(asked) and all(any(word in synonyms(one) for word in bare) for one in canonical(asked))


ENDINGS = word_set(
    """
    e ed er ers ing ion ions al y s es or ist ation ance ence ment tted ssion ssions sis sed ses red
    """
) | {""}


@lru_cache(CACHED)
def same_root(a: str, b: str) -> bool:
    """Whether two words differ only in how they end: `readmission` and `readmitted`, `hired` and `hire`."""
    common = len(commonprefix([a, b]))
    return common >= 4 and a != b and a[common:] in ENDINGS and b[common:] in ENDINGS


def root(asked: tuple[str, ...], named: tuple[str, ...]) -> bool:
    bare = without_unit(named)
    return len(asked) == 1 and any(same_root(asked[0], word) for word in bare)


LEVELS: tuple[Level, ...] = (exact, same_words, part, start_of, misspelt, misspelt_part, root, synonym, synonym_part)


def find(tokens: Sequence[Token], columns: Sequence[Column]) -> list[Mention]:
    """All mentions of columns, in order, none overlapping; the strictest and longest come first."""
    named = [(column, stems(column.name) or (fold(column.name),)) for column in columns]
    found = sorted(
        candidates(tokens, named), key=lambda mention: (mention.level, mention.start - mention.end, mention.start)
    )
    taken: set[int] = set()
    kept = []
    for mention in found:
        span = range(mention.start, mention.end)
        if taken.isdisjoint(span):
            taken.update(span)
            kept.append(mention)
    return sorted(kept, key=lambda mention: mention.start)


def candidates(tokens: Sequence[Token], named: Sequence[tuple[Column, tuple[str, ...]]]) -> Iterator[Mention]:
    for start in range(len(tokens)):
        for end in range(start + 1, min(start + LONGEST, len(tokens)) + 1):
            if end > start + 1 and not all(token.kind in ("word", "number", "quoted") for token in tokens[start:end]):
                break
            mention = match(tokens, start, end, named)
            if mention:
                yield mention


def match(
    tokens: Sequence[Token], start: int, end: int, named: Sequence[tuple[Column, tuple[str, ...]]]
) -> Mention | None:
    """What these tokens name, at the strictest level that knows it."""
    span = tokens[start:end]
    text = " ".join(token.text for token in span)
    if span[0].kind == "quoted":
        return quoted(span, start, named)
    literal = [column for column, _ in named if fold(column.name) == fold(text)]
    asked = stems(text)
    if literal and not all(token.low in STOPWORDS or token.kind in ("number", "symbol") for token in span):
        return Mention(start, end, tuple(literal[:1]), 0, text)
    if not asked or span[0].kind != "word" or span[-1].kind not in ("word", "number"):
        return None
    for level, knows in enumerate(LEVELS[: allowed(span)]):
        columns = [column for column, words in named if knows(asked, words)]
        if columns:
            return Mention(start, end, tuple(columns), level, text)
    return None


def quoted(span: Sequence[Token], start: int, named: Sequence[tuple[Column, tuple[str, ...]]]) -> Mention | None:
    if len(span) != 1:
        return None
    wanted = stems(span[0].text)
    for column, words in named:
        if fold(column.name) == span[0].low or (wanted and words == wanted):
            return Mention(start, start + 1, (column,), 0, span[0].text)
    return None


def allowed(span: Sequence[Token]) -> int:
    """How many levels may know these tokens: keywords and little words only name a column exactly."""
    if any(token.low in STOPWORDS for token in (span[0], span[-1])):
        return 1 if len(span) > 1 or singular(span[0].low) in KIND_WORDS else 0
    if all(token.low in SINGLE_WORDS or singular(token.low) in SINGLE_WORDS for token in span):
        return 2
    return len(LEVELS) if len(span) == 1 else 3 if len(span) > 2 else len(LEVELS)


KIND_WORDS = frozenset({"type", "kind", "value", "name", "title", "group", "item", "order", "set", "label", "change"})
"""Little words that are names of columns often enough."""


def main_measure(numbers: Sequence[Column]) -> Column | None:
    """The column that `the largest order` and `the best month` are about: the one of money, if there is one."""
    for word in MONEY.split("|"):
        found = [column for column in numbers if word in pieces(column.name) or (singular(word),) == stems(column.name)]
        if len(found) == 1:
            return found[0]
    return numbers[0] if len(numbers) == 1 else None


def best_for(words: str, columns: Sequence[Column]) -> list[Column]:
    """The columns that words such as `price` or `length|duration` point at, strictest level first."""
    for word in words.split("|"):
        wanted = (word,)
        for knows in LEVELS:
            found = [column for column in columns if knows(wanted, stems(column.name) or (column.name,))]
            if found:
                return found
    return []
