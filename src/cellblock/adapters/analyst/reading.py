"""A question taken apart: which of its words are keywords, columns, numbers, conditions; the rest is left over. Pure.

`read` gives a Reading; nothing is decided here about what to compute. That is `question.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cellblock.adapters.analyst.columns import Mention, find
from cellblock.adapters.analyst.schema import DataFile
from cellblock.adapters.analyst.vocabulary import FIRST_WORDS, SINGLE_WORDS, STOPWORDS, Meaning
from cellblock.adapters.analyst.words import Token, is_typo, tokenise, word_set

ARTICLES = word_set("the a an its their our his her different various all respective individual these those")
DISTRIBUTIVE = word_set("each every per")
GROUPERS = word_set("by per each every across among amongst within")
CONNECTORS = frozenset({"and", ",", "&", "/", "plus", "then", "+"})
COLUMN_SLOTS = GROUPERS | {
    "of",
    "the",
    "average",
    "mean",
    "sum",
    "median",
    "where",
    "with",
    "whose",
    "total",
    "max",
    "min",
}


@dataclass(frozen=True, slots=True)
class Keyword:
    """Tokens `start` to `end` (exclusive) are a phrase of the vocabulary."""

    start: int
    end: int
    meaning: Meaning


@dataclass(slots=True)
class Reading:
    """A question's tokens and what each was understood as: `roles[i]` is empty while nobody has claimed token i."""

    text: str
    file: DataFile
    tokens: list[Token]
    roles: list[str]
    mentions: list[Mention] = field(default_factory=list)
    keywords: list[Keyword] = field(default_factory=list)
    soft: list[Mention] = field(default_factory=list)
    """Exact names of columns that were read as keywords: `total`, `count`."""

    def claim(self, positions: Iterable[int], role: str) -> None:
        for position in positions:
            self.roles[position] = role

    def low(self, position: int) -> str:
        """The folded token there; empty outside the question."""
        return self.tokens[position].low if 0 <= position < len(self.tokens) else ""

    def free(self, position: int) -> bool:
        return 0 <= position < len(self.tokens) and not self.roles[position]

    def words(self, start: int, count: int) -> tuple[str, ...]:
        return tuple(token.low for token in self.tokens[start : start + count])

    def has(self, slot: str, value: str | None = None) -> bool:
        return any(k.meaning.slot == slot and value in (None, k.meaning.value) for k in self.keywords)

    def values(self, slot: str) -> list[str]:
        return [keyword.meaning.value for keyword in self.keywords if keyword.meaning.slot == slot]

    def before(self, position: int, skip: frozenset[str] = ARTICLES) -> int:
        """The position of the last token before `position` that is no article; -1 when there is none."""
        position -= 1
        while position >= 0 and self.low(position) in skip:
            position -= 1
        return position

    def mention_at(self, position: int) -> Mention | None:
        return next((m for m in self.mentions if m.start <= position < m.end), None)

    def keyword_at(self, position: int) -> Keyword | None:
        return next((k for k in self.keywords if k.start <= position < k.end), None)

    def left_over(self) -> list[int]:
        """Positions of words that carry meaning and that nobody understood."""
        return [
            n
            for n, token in enumerate(self.tokens)
            if not self.roles[n]
            and token.kind in ("word", "quoted")
            and token.low not in STOPWORDS
            and len(token.low) > 1
        ]


def read(text: str, file: DataFile) -> Reading:
    """The keywords and column mentions of a question; where both claim a word the rules below decide."""
    tokens = tokenise(text)
    reading = Reading(text, file, tokens, [""] * len(tokens))
    mentions = [m for m in find(tokens, file.columns) if not names_a_row(m, file)]
    keywords = find_keywords(tokens)
    reading.mentions = [m for m in mentions if not any(beats(k, m, tokens) for k in overlapping(m, keywords))]
    reading.soft = [m for m in mentions if m not in reading.mentions and m.level <= 1]
    held = {n for mention in reading.mentions for n in range(mention.start, mention.end)}
    reading.keywords = [k for k in keywords if held.isdisjoint(range(k.start, k.end))]
    reading.keywords += shorter_keywords(tokens, [k for k in keywords if k not in reading.keywords], held)
    reading.keywords.sort(key=lambda keyword: keyword.start)
    for mention in reading.mentions:
        reading.claim(range(mention.start, mention.end), "column")
    for keyword in reading.keywords:
        reading.claim(range(keyword.start, keyword.end), keyword.meaning.slot)
    return reading


def names_a_row(mention: Mention, file: DataFile) -> bool:
    """`orders` are the rows of a file with an `order_id`, not its identifiers."""
    return mention.level >= 2 and mention.column.identifier and file.is_key(mention.column)


def overlapping(mention: Mention, keywords: Sequence[Keyword]) -> list[Keyword]:
    return [k for k in keywords if k.start < mention.end and mention.start < k.end]


def find_keywords(tokens: Sequence[Token]) -> list[Keyword]:
    """Phrases of the vocabulary, longest first, from left to right."""
    found = []
    position = 0
    while position < len(tokens):
        keyword = keyword_at(tokens, position)
        if keyword:
            found.append(keyword)
        position = keyword.end if keyword else position + 1
    return found


def keyword_at(tokens: Sequence[Token], start: int) -> Keyword | None:
    if tokens[start].kind != "word":
        return None
    for words, meaning in FIRST_WORDS.get(tokens[start].low, ()):
        if tuple(token.low for token in tokens[start : start + len(words)]) == words:
            return Keyword(start, start + len(words), meaning)
    return misspelt_keyword(tokens, start)


def misspelt_keyword(tokens: Sequence[Token], start: int) -> Keyword | None:
    """A long keyword with a letter wrong: `averge`, `hisogram`."""
    low = tokens[start].low
    if len(low) < 5 or low in STOPWORDS:
        return None
    near = next((word for word in sorted(SINGLE_WORDS) if len(word) >= 5 and is_typo(low, word)), None)
    if near is None or near.rstrip("s") == low.rstrip("s"):
        return None
    meaning = next(meaning for words, meaning in FIRST_WORDS[near] if len(words) == 1)
    return Keyword(start, start + 1, meaning)


def shorter_keywords(tokens: Sequence[Token], lost: Sequence[Keyword], held: set[int]) -> list[Keyword]:
    """What is left of phrases that lost some words to a column: `bar chart` stays when only `by month` lost."""
    found = []
    for keyword in lost:
        for position in range(keyword.start, keyword.end):
            if position in held:
                continue
            word = (tokens[position].low,)
            meaning = next((m for words, m in FIRST_WORDS.get(word[0], ()) if words == word), None)
            if meaning:
                found.append(Keyword(position, position + 1, meaning))
    return found


def beats(keyword: Keyword, mention: Mention, tokens: Sequence[Token]) -> bool:
    """Whether a keyword keeps its words from a column that is named by some of them."""
    length, width = keyword.end - keyword.start, mention.end - mention.start
    if tokens[mention.start].kind == "quoted" or width > length or misspells(keyword, tokens):
        return False
    if length > width:
        whole = keyword.meaning.slot in ("unit", "trend", "unitword")
        return not (whole and mention.level <= 1)
    if keyword.meaning.slot == "unitword":
        return mention.level > 3
    return mention.level > 1 or not in_column_slot(mention, tokens)


def misspells(keyword: Keyword, tokens: Sequence[Token]) -> bool:
    return keyword.end == keyword.start + 1 and tokens[keyword.start].low not in SINGLE_WORDS


def in_column_slot(mention: Mention, tokens: Sequence[Token]) -> bool:
    """Whether a word such as `total` or `count` stands where a column is expected: after `by`, `of`, `average` …"""
    before = tokens[mention.start - 1].low if mention.start else ""
    after = tokens[mention.end].low if mention.end < len(tokens) else ""
    return before in COLUMN_SLOTS or after in ("is", "=", ">", "<", ">=", "<=", "above", "below", "over", "under")
