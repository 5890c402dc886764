"""The slots a question may fill, before it is decided what they make together."""

from dataclasses import dataclass, field

from cellblock.adapters.analyst.columns import Mention
from cellblock.adapters.analyst.plan import Filter, Order
from cellblock.adapters.analyst.schema import Column, DataFile


@dataclass(slots=True)
class Spec:
    """What one question says, and only that: an empty slot means that it is silent there."""

    file: DataFile
    text: str
    chart: str = ""
    trend: bool = False
    aggregates: list[str] = field(default_factory=list)
    extreme: str = ""
    """`high` or `low`."""
    singular_extreme: bool = False
    top: int | None = None
    default_top: bool = False
    """`top products` without a number."""
    order: Order = ""
    sort: bool = False
    acts: list[str] = field(default_factory=list)
    share: bool = False
    rows: bool = False
    last: bool = False
    frequent: str = ""
    compare: bool = False
    versus: bool = False
    detail: bool = False
    """A further grouping is asked for, in addition to the one that was."""
    bins: int | None = None
    unit: str = ""
    no_chart: bool = False
    reset: bool = False
    measures: list[Column] = field(default_factory=list)
    groups: list[Column] = field(default_factory=list)
    group_marked: bool = False
    sort_columns: list[Column] = field(default_factory=list)
    dates: list[Column] = field(default_factory=list)
    """Date columns named without a role."""
    entity: bool = False
    """`which region …`, `top 5 products`: the answer is one of the groups."""
    filters: list[Filter] = field(default_factory=list)
    having: Filter | None = None
    parts: list[Filter] = field(default_factory=list)
    """What the share asked for is a share of: `percentage of remote employees`."""
    per_group: bool = False
    """`average monthly revenue`: the mean of the months' totals."""
    both: bool = False
    """Several values are named with `and`: they are to be compared."""
    unclear: str = ""
    """A comparison whose column nobody knows."""
    ambiguous: list[Mention] = field(default_factory=list)
    unknown_group: str = ""
    unknown_measure: str = ""
    unknown_counted: str = ""
    """`how many trucks`: what is to be counted is neither a column nor a usual name for a row."""
    no_such_value: str = ""
    unsupported: str = ""
    refused: str = ""
    """A negation that no condition has used."""
    cue: bool = False
    """It begins like a follow-up: `and`, `now`, `what about`."""
    soft: list[Column] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def resolve(self, mention: Mention, column: Column) -> None:
        """An ambiguous mention means this column."""
        self.ambiguous.remove(mention)
        for listed in (self.measures, self.groups, self.sort_columns):
            if column in listed:
                return
        if column.kind == "number":
            self.measures.append(column)
        else:
            self.groups.append(column)

    @property
    def silent(self) -> bool:
        """Whether nothing was understood at all."""
        return not (
            self.chart
            or self.trend
            or self.aggregates
            or self.extreme
            or self.top
            or self.order
            or self.acts
            or self.share
            or self.rows
            or self.frequent
            or self.unit
            or self.no_chart
            or self.reset
            or self.measures
            or self.groups
            or self.dates
            or self.sort_columns
            or self.filters
            or self.having
            or self.ambiguous
            or self.sort
            or self.bins
            or self.soft
            or self.unclear
        )
