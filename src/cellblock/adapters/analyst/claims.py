"""A condition found in a question, and taking words for it, so that none is understood twice. Pure."""

from dataclasses import dataclass

from cellblock.adapters.analyst.columns import Mention
from cellblock.adapters.analyst.plan import Filter
from cellblock.adapters.analyst.reading import CONNECTORS, Reading
from cellblock.adapters.analyst.vocabulary import (
    NEGATIONS,
)
from cellblock.adapters.analyst.words import word_set

LITTLE = word_set("the a an in for from of with at is are was were be on to only just by all")


@dataclass(frozen=True, slots=True)
class Found:
    """A condition and where it stands."""

    start: int
    end: int
    condition: Filter
    having: bool = False
    """It is on what is computed for each group."""


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


def drop(reading: Reading, position: int) -> None:
    """Forget what a word was taken for: it is part of a value."""
    if mention := reading.mention_at(position):
        reading.mentions.remove(mention)
    if keyword := reading.keyword_at(position):
        reading.keywords.remove(keyword)
