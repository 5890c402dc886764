"""The conditions of a question. Pure.

Every finder claims the words it understood, so that none is understood twice; the order in `find_conditions` is the
order of precedence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cellblock.adapters.analyst.comparisons import comparisons, nobodys
from cellblock.adapters.analyst.moments import seasons, temporal, weekdays
from cellblock.adapters.analyst.plan import Filter
from cellblock.adapters.analyst.reading import Reading
from cellblock.adapters.analyst.values import codes, emptiness, flags, known_values, stated_values, texts


@dataclass(frozen=True, slots=True)
class Conditions:
    """Filters, the one on aggregated values, and what was asked for but cannot be found or told apart."""

    filters: tuple[Filter, ...] = ()
    having: Filter | None = None
    parts: tuple[Filter, ...] = ()
    unclear: str = ""
    both: bool = False


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
        *codes(reading),
    ]
    parts = flags(reading)
    having = [one.condition for one in found if one.having]
    plain = [one.condition for one in found if not one.having]
    if not reading.has("share"):
        plain, parts = [*plain, *parts], []
    both = any(reading.low(one.end) == "and" and "value" in reading.roles[one.end + 1 : one.end + 4] for one in found)
    return Conditions(tuple(merge(plain)), having[0] if having else None, tuple(parts), nobodys(reading), both)


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
