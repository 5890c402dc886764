"""What will be computed, as values: a Plan is all that code and answer are made from. Pure."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cellblock.adapters.analyst.schema import Column, DataFile
from cellblock.adapters.analyst.words import clean, human

Action = Literal[
    "profile",
    "preview",
    "shape",
    "columns",
    "aggregate",
    "rows",
    "histogram",
    "scatter",
    "box",
    "correlation",
    "missing",
    "distinct",
    "stats",
    "part",
    "duplicates",
    "outliers",
]
Order = Literal["", "asc", "desc", "key"]

NAMES = {
    "sum": "Total",
    "mean": "Average",
    "median": "Median",
    "count": "Number of",
    "min": "Minimum",
    "max": "Maximum",
    "std": "Standard deviation of",
    "var": "Variance of",
}
OPERATORS = {
    "==": "is",
    "!=": "is not",
    ">": "is above",
    ">=": "is at least",
    "<": "is below",
    "<=": "is at most",
    "between": "is between",
    "in": "is",
    "not in": "is not",
    "contains": "contains",
    "mentions": "mentions",
    "starts": "starts with",
    "empty": "is missing",
    "filled": "is given",
}


@dataclass(frozen=True, slots=True)
class Group:
    """A grouping: a column, or with `unit` (year … weekday) that part of a date."""

    column: Column
    unit: str = ""

    @property
    def title(self) -> str:
        return self.unit or human(self.column.name)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one column; several `columns`: any of them may hold the value. `unit` compares part of a date."""

    columns: tuple[Column, ...]
    operator: str
    values: tuple[Any, ...] = ()
    unit: str = ""

    @property
    def title(self) -> str:
        if self.unit and self.operator in TIME_OPERATORS:
            return timed(self)
        name = self.unit or human(self.columns[0].name)
        if len(self.columns) > 1:
            name = "any text column"
        joiner = " and " if self.operator == "between" else " or "
        values = joiner.join(shown_value(value) for value in self.values)
        return f"{name} {OPERATORS[self.operator]} {values}".rstrip()


TIME_OPERATORS = {
    "==": "is",
    "!=": "is not",
    ">": "is after",
    ">=": "is not before",
    "<": "is before",
    "<=": "is not after",
    "between": "is between",
    "in": "is",
    "not in": "is not",
}


def timed(one: Filter) -> str:
    """A condition on a part of a date: `month is March`, `order date is before 2024-03-01`."""
    name = human(one.columns[0].name) if one.unit == "day" else one.unit.removesuffix(" of year")
    values = [calendar.month_name[value] if one.unit == "month of year" else shown_value(value) for value in one.values]
    joiner = " and " if one.operator == "between" else " or "
    return f"{name} {TIME_OPERATORS[one.operator]} {joiner.join(values)}"


@dataclass(frozen=True, slots=True)
class Plan:
    """One answerable question about one file."""

    file: DataFile
    action: Action
    measures: tuple[Column, ...] = ()
    aggregates: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    filters: tuple[Filter, ...] = ()
    parts: tuple[Filter, ...] = ()
    having: Filter | None = None
    top: int | None = None
    order: Order = ""
    chart: str = ""
    share: bool = False
    bins: int | None = None
    overview: bool = False
    last: bool = False
    per_group: bool = False
    """The mean over the groups is wanted too: `average monthly revenue`."""
    note: str = ""
    careful: bool = False

    @property
    def counting(self) -> bool:
        """Whether rows are counted rather than a column aggregated."""
        return self.aggregates == ("count",) and not self.measures

    @property
    def aggregate(self) -> str:
        return self.aggregates[0] if self.aggregates else "sum"


@dataclass(frozen=True, slots=True)
class Say:
    """An answer in words without any computing: a question back, or what the analyst can do. `pending` waits for it."""

    text: str
    question: bool = False


@dataclass(frozen=True, slots=True)
class RunCode:
    """Code the person pasted, to be run as it is."""

    code: str


Reply = Plan | Say | RunCode


@dataclass(slots=True)
class Names:
    """Names for the variables and columns the code makes, free of the file's own column names."""

    taken: set[str] = field(default_factory=set)

    def free(self, wanted: str) -> str:
        name = wanted
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name


def shown_value(value: Any) -> str:
    return clean(str(value), 60)


def listing(names: Sequence[str], word: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def plural(name: str) -> str:
    """A rough English plural, for headings."""
    if not name.isascii() or not name[-1:].isalpha() or name.endswith("s"):
        return name
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return name[:-1] + "ies"
    return name + ("es" if name.endswith(("x", "ch", "sh")) else "s")


def measure_title(plan: Plan) -> str:
    """`Total revenue`, `Number of rows`, `Average and median salary`."""
    if plan.counting or not plan.measures:
        return "Number of rows"
    names = listing([human(column.name) for column in plan.measures])
    if plan.aggregates == ("count",):
        return f"Number of {names} values"
    words = [aggregate_name(one).lower() if n else aggregate_name(one) for n, one in enumerate(plan.aggregates)]
    return words[0] if words == [capital(names)] else f"{listing(words)} {names}"


def aggregate_name(aggregate: str) -> str:
    """`Total`, or `Percentile 95 of` for p95."""
    return NAMES.get(aggregate) or f"Percentile {aggregate[1:]} of"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def where(plan: Plan) -> str:
    """` where region is North and units is above 3`, or nothing."""
    said = [condition.title for condition in plan.filters]
    return f", where {' and '.join(said)}" if said else ""


def title(plan: Plan) -> str:
    """The heading of the cell's output, of the chart, and of the tool call."""
    return heading(plan) + where(plan)


def heading(plan: Plan) -> str:
    by = f" by {listing([group.title for group in plan.groups])}" if plan.groups else ""
    names = names_of(plan.measures)
    match plan.action:
        case "aggregate":
            return aggregate_heading(plan, by)
        case "scatter":
            return f"{human(plan.measures[1].name)} against {names_of(plan.measures[:1])}{by}"
        case "correlation" if len(plan.measures) != 2:
            return "Correlation of the number columns"
        case "missing" if not names:
            return "Missing values"
        case "part":
            return f"Share of {names or 'rows'} where {' and '.join(one.title for one in plan.parts)}{by}"
        case "rows":
            return rows_heading(plan)
        case _:
            return HEADINGS[plan.action].format(names=names, by=by, file=clean(plan.file.path))


HEADINGS = {
    "histogram": "Distribution of {names}{by}",
    "box": "Box plot of {names}{by}",
    "correlation": "Correlation between {names}",
    "stats": "Statistics of {names}{by}",
    "distinct": "Distinct values of {names}",
    "missing": "Missing values of {names}",
    "outliers": "Outliers of {names}",
    "profile": "Overview of {file}",
    "preview": "Rows of {file}",
    "shape": "Size of {file}",
    "columns": "Columns of {file}",
    "duplicates": "Duplicate rows of {file}",
}


def names_of(columns: Sequence[Column]) -> str:
    return listing([human(column.name) for column in columns])


def aggregate_heading(plan: Plan, by: str) -> str:
    measure = measure_title(plan)
    if plan.share:
        measure = "Share of " + (measure[0].lower() + measure[1:])
    kept = f", {with_operator(plan.having)}" if plan.having else ""
    if plan.top and plan.groups:
        which = "Bottom" if plan.order == "asc" else "Top"
        names = listing([plural(group.title) for group in plan.groups])
        return f"{which} {plan.top} {names} by {measure[0].lower()}{measure[1:]}{kept}"
    return f"{measure}{by}{kept}"


def with_operator(one: Filter) -> str:
    """`above 50000`."""
    return one.title.removeprefix(human(one.columns[0].name) + " is ")


def rows_heading(plan: Plan) -> str:
    names = human(plan.measures[0].name) if plan.measures else ""
    if not names:
        return f"First {plan.top} rows" if plan.top else "Rows"
    if plan.top == 1:
        return f"Row with the {'lowest' if plan.order == 'asc' else 'highest'} {names}"
    if plan.top:
        return f"{'Lowest' if plan.order == 'asc' else 'Highest'} {plan.top} rows by {names}"
    return f"Rows sorted by {names}"
