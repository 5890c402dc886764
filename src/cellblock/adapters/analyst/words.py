"""Text into tokens, names into words, and how far two words are apart. Pure; knows nothing of data or of questions."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["word", "number", "date", "quoted", "symbol"]

NUMBER_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
    "hundred": 100,
}

TOKEN = re.compile(
    r"""
    (?P<quoted> "[^"\n]{1,200}" | “[^”\n]{1,200}” | `[^`\n]{1,200}` | «[^»\n]{1,200}»
              | (?<!\w)'[^'\n]{1,200}'(?!\w) | (?<!\w)‘[^’\n]{1,200}’)
  | (?P<date> \d{4}-\d{1,2}-\d{1,2}(?![\d-]) | \d{4}-\d{1,2}(?![\d-])
            | \d{1,2}\.\d{1,2}\.\d{4}(?!\d) | \d{1,2}/\d{1,2}/\d{4}(?!\d))
  | (?P<number>(?<!\w)[-−]?\d+(?:[.,]\d+)*(?:(?:k|K|m|M|bn)(?!\w))?)
  | (?P<word>\w+(?:['’]\w+)?)
  | (?P<symbol>>=|<=|==|!=|<>|≥|≤|≠|[=<>%$€£&/,:;?!.()|+-])
    """,
    re.VERBOSE,
)
PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
CACHED = 8192
"""Results kept of functions that are asked the same few words over and over."""
SCALES = {"k": 1e3, "m": 1e6, "bn": 1e9}


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a question. `low` is folded (case, accents); `text` is as written, without quotes."""

    text: str
    low: str
    kind: Kind
    start: int
    end: int
    number: float | None = None


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


@lru_cache(CACHED)
def fold(text: str) -> str:
    """Lower case without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))


def tokenise(text: str) -> list[Token]:
    """The tokens of a question, in order."""
    found = []
    for match in TOKEN.finditer(text):
        kind: Kind = match.lastgroup  # type: ignore[assignment]  # the groups are named as the kinds
        raw = match.group()
        word = raw[1:-1].strip() if kind == "quoted" else raw
        if word and not joins(text, match):
            found.append(Token(word, fold(word).replace("’", "'"), kind, *match.span(), number_of(kind, word)))
    return found


def joins(text: str, match: re.Match[str]) -> bool:
    """Whether this is the hyphen of `box-plot`: two words, and nothing between them."""
    around = text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
    return match.group() == "-" and len(around) == 2 and around.isalpha()


def number_of(kind: Kind, text: str) -> float | None:
    if kind == "number":
        return parse_number(text)
    return float(NUMBER_WORDS[low]) if kind == "word" and (low := text.casefold()) in NUMBER_WORDS else None


def parse_number(text: str, *, european: bool = False) -> float | None:
    """`1,234.5`, `1.234,5`, `50k` as a number; commas before exactly three digits are thousands.

    `european`: so are points, and a comma is the decimal sign.
    """
    match = re.fullmatch(r"([-−]?)([\d.,]+)(k|m|bn)?", text.strip().casefold())
    if not match:
        return None
    digits = match[2]
    if (european and re.fullmatch(r"\d{1,3}(\.\d{3})+(,\d+)?|\d+,\d+", digits)) or re.fullmatch(
        r"\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,}", digits
    ):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d{1,2}", digits):
        digits = digits.replace(",", ".")
    try:
        value = float(digits.replace(",", "")) * SCALES.get(match[3] or "", 1)
    except ValueError:
        return None
    return -value if match[1] else value


def plain_number(value: float) -> int | float:
    """An int when it is one, so that code shows `5` and not `5.0`."""
    return int(value) if value.is_integer() else value


def singular(word: str) -> str:
    """A rough English singular; only ever compared with another rough singular."""
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") else word


def pieces(name: str) -> tuple[str, ...]:
    """The words of a name: `orderDate`, `order_date` and `Order Date` are all (order, date)."""
    apart = unicodedata.normalize("NFKD", name)
    plain = "".join(character for character in apart if not unicodedata.combining(character))
    return tuple(piece.casefold() for piece in PIECE.findall(plain))


@lru_cache(CACHED)
def stems(name: str) -> tuple[str, ...]:
    return tuple(singular(piece) for piece in pieces(name))


def distance(a: str, b: str, limit: int) -> int:
    """Edits (insert, delete, replace, swap neighbours) from `a` to `b`; `limit + 1` when there are more."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i] + [0] * len(b)
        for j, y in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], older[j - 2] + 1)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def typo_limit(length: int) -> int:
    """How many edits a word of this length may be off."""
    return 0 if length < 5 else 1 if length < 8 else 2


@lru_cache(CACHED)
def is_typo(a: str, b: str) -> bool:
    """Whether `a` may be a misspelt `b`: a few edits, and the same first letter."""
    limit = typo_limit(min(len(a), len(b)))
    return bool(limit) and a != b and a[0] == b[0] and distance(a, b, limit) <= limit


def clean(text: str, limit: int = 120) -> str:
    """Data as one short line that can be shown: no control characters, no lone surrogates, no markup fences."""
    shown = "".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode())
    line = " ".join(shown.replace("`", "'").split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def human(name: str) -> str:
    """A column's name as words: `unit_price` → `unit price`; names that are words already stay."""
    shown = clean(name)
    if " " in shown or not re.search(r"_|[a-z][A-Z]", shown):
        return shown
    parts = [part for part in re.split(r"_+|(?<=[a-z])(?=[A-Z])", shown) if part]
    return " ".join(part if part.isupper() else part.lower() for part in parts) or shown
