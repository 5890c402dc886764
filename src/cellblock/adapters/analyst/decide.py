"""The slots of a question, and of the plan before it, into one Plan or a question back. Pure.

The steps of `decide` are the order in which the meanings are tried; the first that fits wins.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from cellblock.adapters.analyst import followup, texts
from cellblock.adapters.analyst.columns import main_measure
from cellblock.adapters.analyst.plan import Action, Filter, Group, Order, Plan, Reply, Say
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.spec import Spec
from cellblock.adapters.analyst.vocabulary import ABBREVIATIONS, BEYOND, CODES, MEAN_WORDS, SUM_WORDS
from cellblock.adapters.analyst.words import singular, stems

WHOLE_FILE = ("profile", "preview", "shape", "columns", "duplicates")
TOP = 5


def decide(spec: Spec, before: Plan | None) -> Reply:
    """The plan for a question, or what to ask."""
    odd = " " in spec.unsupported or "-" in spec.unsupported
    if spec.unsupported and (odd or spec.unsupported.casefold() in BEYOND or not (spec.measures or spec.groups)):
        return texts.unsupported(spec.unsupported)
    if before and followup.continues(spec):
        return followup.changed(spec, before)
    if problem := unclear(spec):
        return problem
    for step in STEPS:
        reply = step(spec)
        if reply:
            return reply
    return texts.unsupported(spec.unsupported)


def unclear(spec: Spec) -> Say | None:
    """What must be asked before anything is computed."""
    if spec.no_such_value:
        return texts.no_value(spec.file, spec.no_such_value)
    if spec.ambiguous:
        mention = spec.ambiguous[0]
        return texts.ambiguous(mention.words, mention.columns)
    if spec.refused:
        return texts.refused(spec.refused)
    if spec.unclear:
        return texts.which_number(spec.file, spec.unclear)
    if spec.unknown_group:
        return texts.no_column(spec.file, spec.unknown_group)
    return None


# --- the steps -------------------------------------------------------------------------------------------------------


def missing(spec: Spec) -> Reply | None:
    if "missing" not in spec.acts:
        return None
    return Plan(spec.file, "missing", tuple(named(spec)), filters=conditions(spec), chart=drawn(spec, "bar"))


def duplicates(spec: Spec) -> Reply | None:
    return Plan(spec.file, "duplicates") if "duplicates" in spec.acts else None


def correlation(spec: Spec) -> Reply | None:
    """Two columns: their correlation and a scatter plot; fewer or more: the matrix."""
    if "correlation" not in spec.acts or (spec.groups and not spec.measures):
        return None
    numbers = measures(spec)
    if len(numbers) == 1 and spec.unknown_measure:
        return texts.no_column(spec.file, spec.unknown_measure)
    if len(numbers) == 2:
        return Plan(
            spec.file,
            "correlation",
            tuple(numbers),
            filters=conditions(spec),
            chart=drawn(spec, "scatter") or "scatter",
        )
    every = [column for column in spec.file.of("number") if not column.identifier]
    if len(every) < 2:
        return texts.no_numbers(spec.file)
    chosen = numbers if len(numbers) > 2 else every
    return Plan(
        spec.file,
        "correlation",
        tuple(chosen),
        filters=conditions(spec),
        chart="heatmap",
        order="desc" if numbers else "",
    )


def scatter(spec: Spec) -> Reply | None:
    """Two number columns, by word or by `vs`."""
    plain = spec.versus and not spec.aggregates and len(numeric(spec)) == 2 and not spec.chart
    if spec.chart != "scatter" and not plain:
        return None
    numbers = numeric(spec)
    dates = [column for column in spec.groups if column.kind == "date"]
    if len(numbers) < 2 and spec.unknown_measure:
        return texts.no_column(spec.file, spec.unknown_measure)
    if len(numbers) == 1 and dates:
        numbers = [numbers[0], dates[0]]
    if len(numbers) < 2:
        return texts.which_measure(spec.file, spec.file.of("number"))
    y, x = numbers[0], numbers[1]
    if spec.acts and "relation" in spec.acts:
        x, y = y, x
    colours = [Group(column) for column in spec.groups if column.kind in ("text", "bool")]
    return Plan(spec.file, "scatter", (x, y), groups=tuple(colours[:1]), filters=conditions(spec), chart="scatter")


def histogram(spec: Spec) -> Reply | None:
    """The distribution of a number; of a category, how often each value occurs."""
    if spec.chart != "histogram" and not spec.bins and "distribution" not in spec.acts:
        return None
    if spec.chart in ("box", "pie", "bar", "line", "scatter") or spec.aggregates or spec.share:
        return None
    numbers = numeric(spec)
    groups = [column for column in spec.groups if column not in numbers]
    coded = [column for column in numbers[:1] if few_kinds(column) and spec.chart != "histogram" and not spec.bins]
    if (not numbers and groups) or coded:
        return counts(spec, [*coded, *groups])
    if not numbers:
        return ask_measure(spec)
    split = tuple(Group(column) for column in groups[:1])
    if split and spec.chart != "histogram":
        return Plan(spec.file, "box", (numbers[0],), groups=split, filters=conditions(spec), chart="box")
    return Plan(
        spec.file, "histogram", (numbers[0],), groups=split, filters=conditions(spec), chart="histogram", bins=spec.bins
    )


def few_kinds(column: Column) -> bool:
    """Whether a number is a kind, such as an HTTP status."""
    few = column.unique is not None and column.unique <= (12 if set(stems(column.name)) & CODES else 4)
    return column.whole and few


def box(spec: Spec) -> Reply | None:
    if spec.chart != "box":
        return None
    numbers = measures(spec)
    if not numbers:
        return ask_measure(spec)
    return Plan(spec.file, "box", (numbers[0],), groups=groupings(spec)[:1], filters=conditions(spec), chart="box")


def outliers(spec: Spec) -> Reply | None:
    if "outliers" not in spec.acts:
        return None
    numbers = measures(spec)
    return (
        Plan(spec.file, "outliers", (numbers[0],), filters=conditions(spec), chart="box")
        if numbers
        else ask_measure(spec)
    )


def distinct(spec: Spec) -> Reply | None:
    """`unique regions`, `how many different products`, `how many regions are there`."""
    asked = "distinct" in spec.acts or (lists_values(spec) and not busy(spec))
    counted = (
        spec.aggregates == ["count"]
        and spec.groups
        and not (spec.group_marked or spec.measures or spec.chart or spec.extreme)
    )
    if counted and not asked and not all(column.kind == "text" and not column.identifier for column in spec.groups):
        return None
    if not (asked or counted) or spec.trend:
        return None
    targets = [*spec.groups, *spec.measures] if not spec.unit else spec.measures
    if asked and spec.group_marked and len(targets) >= 2:
        return None
    if not targets:
        return texts.no_column(spec.file, spec.unknown_measure) if spec.unknown_measure else None
    return Plan(spec.file, "distinct", tuple(targets[:1]), filters=conditions(spec))


def lists_values(spec: Spec) -> bool:
    """`which regions are there`, `what products do we have`."""
    text = spec.text.casefold()
    return spec.entity and any(words in text for words in ("are there", "exist", "do we have", "are in"))


def whole_file(spec: Spec) -> Reply | None:
    """Overview, first rows, size, columns: when nothing more precise is asked."""
    acts = [act for act in WHOLE_FILE if act in spec.acts]
    if not acts or busy(spec):
        return None
    if "profile" in acts and (spec.measures or spec.groups) and not spec.unknown_measure:
        return statistics(spec)
    narrow: tuple[Action, ...] = ("preview", "shape", "columns")
    for act in narrow:
        if act in acts and not (spec.measures or spec.groups):
            if act == "shape" and spec.filters:
                return Plan(spec.file, "aggregate", aggregates=("count",), filters=conditions(spec))
            if act == "preview" and (spec.sort_columns or spec.extreme):
                return None
            last = spec.last or " last " in f" {spec.text} "
            return Plan(spec.file, act, filters=conditions(spec), top=spec.top, last=last)
    if "profile" in acts:
        return Plan(spec.file, "profile", filters=conditions(spec))
    if acts == ["preview"] and spec.groups:
        return Plan(spec.file, "rows", filters=conditions(spec), top=spec.top)
    return None


def busy(spec: Spec) -> bool:
    """Whether the question names something to compute, so that `analyse` is only its opening."""
    return bool(
        spec.chart
        or spec.aggregates
        or spec.share
        or spec.trend
        or spec.extreme
        or spec.frequent
        or spec.unit
        or (spec.group_marked and spec.measures and "profile" not in spec.acts)
    )


def statistics(spec: Spec) -> Reply | None:
    """`describe salary`, `statistics of salary by department`, `describe region`."""
    numbers = numeric(spec)
    if numbers:
        return Plan(spec.file, "stats", tuple(numbers), groups=groupings(spec)[:1], filters=conditions(spec))
    if spec.groups and not spec.group_marked:
        return counts(spec, spec.groups)
    return None


def part(spec: Spec) -> Reply | None:
    """`what percentage of revenue comes from the North`: a part of the whole, when no grouping is asked for."""
    if not spec.share or not (spec.filters or spec.parts):
        return None
    parts, filters = spec.parts, spec.filters
    if not parts:
        timed = [one for one in filters if one.unit]
        parts = [one for one in filters if not one.unit] or timed
        filters = [one for one in timed if one not in parts]
    elif not spec.groups and not spec.unit:
        parts, filters = parts, filters
    groups = groupings(spec)[:1]
    if (groups or spec.chart) and not spec.parts:
        return None
    numbers = [column for column in spec.measures if column.kind == "number"]
    plan = Plan(
        spec.file, "part", tuple(numbers[:1]), ("sum",) if numbers else ("count",), groups, tuple(filters), tuple(parts)
    )
    return replace(plan, chart=usual_chart(spec, plan)) if groups else plan


def frequent(spec: Spec) -> Reply | None:
    """`the most common diagnosis`: rows counted per value."""
    if not spec.frequent:
        return None
    groups = list(groupings(spec)) or [Group(column) for column in spec.measures]
    if not groups:
        unknown = spec.unknown_measure
        return texts.no_column(spec.file, unknown) if unknown else texts.which_group(spec.file)
    spec.extreme = spec.frequent
    return made(spec, (), ("count",), groups[:1], chart=drawn(spec, "bar"))


def rows(spec: Spec) -> Reply | None:
    """Single rows: `the 5 most expensive orders`, `list employees above 50000`, `who earns most`."""
    if spec.aggregates or spec.unit or spec.share or spec.chart not in ("", "auto") or spec.trend:
        return None
    ranked = bool(spec.extreme or spec.top or spec.default_top or spec.sort or spec.order)
    keys = spec.sort_columns or [c for c in spec.measures if not c.identifier]
    if not keys and (spec.extreme or spec.default_top) and not spec.groups and not spec.unknown_measure:
        keys = [main] if (main := main_measure(spec.file.numbers())) else []
    unique = [column for column in spec.groups if column.kind == "date" or spec.file.is_key(column)]
    grouped = [column for column in spec.groups if column not in unique]
    if ranked and keys and (not grouped or spec.rows) and not (spec.group_marked and grouped):
        return ranked_rows(spec, keys[0])
    compared = spec.versus or spec.compare
    if (spec.rows or not (spec.measures or spec.groups)) and spec.filters and not ranked and not compared:
        return Plan(spec.file, "rows", filters=conditions(spec), top=spec.top)
    return None


def ranked_rows(spec: Spec, key: Column) -> Plan | None:
    """Rows ranked by a column. `the highest salary` alone is a number, not a row."""
    single = spec.singular_extreme and not spec.rows and not spec.groups and spec.top is None and not spec.default_top
    descends = spec.extreme == "high" if spec.extreme else spec.order != "asc" if spec.order or spec.top else False
    if single and not spec.sort and not spec.order and key in spec.measures and key.kind == "number":
        return Plan(
            spec.file, "aggregate", (key,), ("max" if spec.extreme == "high" else "min",), filters=conditions(spec)
        )
    top = spec.top or (
        None if spec.sort and not spec.extreme else TOP if spec.default_top else 1 if spec.extreme else None
    )
    if spec.order and spec.extreme == "" and top is None:
        descends = spec.order == "desc"
    return Plan(spec.file, "rows", (key,), filters=conditions(spec), top=top, order="desc" if descends else "asc")


def aggregate(spec: Spec) -> Reply | None:
    """The rest: a measure, or the number of rows, over groups."""
    groups = list(groupings(spec))
    if problem := no_time(spec, groups):
        return problem
    wanted = list(spec.aggregates)
    numbers = [column for column in (numeric(spec) or spec.sort_columns) if column.kind == "number"]
    numbers = [column for column in numbers if column not in [group.column for group in groups]]
    if "count" in wanted and not numbers_counted(spec, numbers):
        spec.per_group = spec.per_group or ("mean" in wanted and len(groups) == 1)
        unknown = spec.unknown_counted
        return texts.no_column(spec.file, unknown) if unknown else counted(spec, groups, [])
    if spec.extreme and wanted == [] and marked_by(spec, groups) and numbers:
        wanted = ["max" if spec.extreme == "high" else "min"]
    if not numbers and spec.soft:
        numbers = spec.soft[:1]
    if not numbers and ranks_groups(spec) and (main := main_measure(spec.file.numbers())):
        numbers = [main]
    if not numbers and re.search(
        r"\b(all|every|each)( the| of the)? (num\w+ )?(columns?|measure\w*|numbers|features)", spec.text
    ):
        numbers = spec.file.numbers()[:8]
    if not numbers:
        return without_measure(spec, groups)
    if spec.per_group and wanted == ["mean"]:
        wanted = ["sum"]
    aggregates = tuple(a for a in wanted if a != "count" or len(wanted) > 1) or (usual(spec, numbers[0]),)
    if "count" in wanted and len(wanted) == 1:
        aggregates = ("sum",)
    return made(spec, tuple(numbers), aggregates, groups)


def marked_by(spec: Spec, groups: list[Group]) -> bool:
    """`highest salary by department`: the extreme of each group, not the group that has it."""
    return bool(groups) and spec.group_marked and not (spec.entity or spec.top or spec.default_top or spec.sort)


def ranks_groups(spec: Spec) -> bool:
    """`top customers`, `best month`: ranked by something that is not said."""
    return bool((spec.extreme or spec.default_top or spec.top) and not spec.aggregates and not spec.unknown_measure)


def numbers_counted(spec: Spec, numbers: list[Column]) -> bool:
    """`how many units were sold` sums the units; `how many orders above 50` counts rows."""
    return bool(numbers) and (len(spec.aggregates) > 1 or not all(column.identifier for column in numbers))


def counted(spec: Spec, groups: list[Group], numbers: list[Column]) -> Plan:
    return made(spec, tuple(numbers), ("count",), groups)


def counts(spec: Spec, columns: list[Column]) -> Plan:
    """How often each value occurs."""
    return made(spec, (), ("count",), [Group(column) for column in columns[:2]], chart=drawn(spec, "bar") or "bar")


def without_measure(spec: Spec, groups: list[Group]) -> Reply | None:
    """No number column is named: rows are counted when the question can mean that, else it asks."""
    if spec.unknown_measure and not spec.frequent:
        return texts.no_column(spec.file, spec.unknown_measure)
    if any(a != "count" for a in spec.aggregates) or (spec.extreme and not groups):
        return ask_measure(spec)
    if groups and (
        spec.versus
        or spec.compare
        or spec.having
        or spec.chart
        or spec.share
        or spec.aggregates
        or spec.group_marked
        or spec.extreme
        or spec.trend
        or spec.default_top
        or spec.top
    ):
        return counted(spec, groups, [])
    if spec.aggregates == ["count"]:
        return counted(spec, groups, [])
    if spec.chart or spec.trend:
        return ask_measure(spec)
    if groups and spec.filters:
        return Plan(spec.file, "rows", filters=conditions(spec), top=spec.top)
    if groups:
        return counts(spec, [group.column for group in groups])
    return Plan(spec.file, "rows", filters=conditions(spec), top=spec.top) if spec.filters else None


STEPS: tuple[Callable[[Spec], Reply | None], ...] = (
    missing,
    duplicates,
    outliers,
    correlation,
    scatter,
    histogram,
    box,
    distinct,
    whole_file,
    part,
    frequent,
    rows,
    aggregate,
)


# --- their parts -----------------------------------------------------------------------------------------------------


def made(
    spec: Spec,
    numbers: tuple[Column, ...],
    aggregates: tuple[str, ...],
    groups: list[Group],
    *,
    chart: str | None = None,
) -> Plan:
    """An aggregate plan with its order, its limit and its chart."""
    ranked = bool(spec.extreme or spec.top or spec.default_top)
    top = spec.top or (TOP if spec.default_top and groups else None)
    order: Order = spec.order or ("asc" if spec.extreme == "low" else "desc" if ranked else "")
    if not order and spec.sort_columns and groups and spec.sort_columns[0] in [group.column for group in groups]:
        order = "key"
    elif not order and spec.sort:
        order = "desc"
    if spec.share and not groups and not spec.filters:
        spec.share = False
    plan = Plan(spec.file, "aggregate", numbers, aggregates, tuple(groups[:2]), conditions(spec))
    plan = replace(plan, having=spec.having, top=top, order=order)
    if len(plan.groups) > 1 and spec.default_top:
        plan = replace(plan, top=None)
    plan = replace(
        plan, share=spec.share, overview="profile" in spec.acts, per_group=spec.per_group and len(groups) == 1
    )
    return replace(plan, chart=chart if chart is not None else usual_chart(spec, plan))


def usual_chart(spec: Spec, plan: Plan) -> str:
    """The chart asked for, or the one that suits: a line over time, a pie for few shares, else bars."""
    if spec.no_chart or not plan.groups:
        return ""
    if spec.chart not in ("", "auto"):
        return spec.chart
    if plan.groups[0].unit not in ("", "weekday") and not (plan.top or spec.extreme):
        return "line"
    return "bar"


def drawn(spec: Spec, usual: str) -> str:
    return (
        "" if spec.no_chart else spec.chart if spec.chart not in ("", "auto") else usual if spec.chart == "auto" else ""
    )


def conditions(spec: Spec) -> tuple[Filter, ...]:
    return tuple(spec.filters)


def named(spec: Spec) -> list[Column]:
    return [*spec.measures, *spec.groups, *spec.sort_columns]


def numeric(spec: Spec) -> list[Column]:
    """The number columns named, wherever they stand, in order; the ones marked as groups last."""
    return [column for column in [*spec.measures, *spec.sort_columns, *spec.groups] if column.kind == "number"]


def measures(spec: Spec) -> list[Column]:
    """The number columns named as measures, or the only one the file has."""
    found = [column for column in [*spec.measures, *spec.sort_columns] if column.kind == "number"]
    return found or sole(spec)


def sole(spec: Spec) -> list[Column]:
    """The file's only number column, when no other word stands for one."""
    numbers = [column for column in spec.file.of("number") if not column.identifier]
    return numbers if len(numbers) == 1 and not spec.unknown_measure else []


def ask_measure(spec: Spec) -> Reply:
    if spec.unknown_measure:
        return texts.no_column(spec.file, spec.unknown_measure)
    numbers = [column for column in spec.file.of("number") if not column.identifier]
    if not numbers:
        return texts.no_numbers(spec.file)
    if len(numbers) == 1 and not spec.measures:
        spec.measures.append(numbers[0])
        return decide(spec, None)
    return texts.which_measure(spec.file, numbers)


def groupings(spec: Spec) -> tuple[Group, ...]:
    """The groups: columns as they are, dates by the unit asked for or one that suits."""
    groups = []
    dates = [column for column in spec.groups if column.kind == "date"]
    listed = list(spec.groups)
    if (spec.unit or spec.trend) and not dates:
        found = time_column(spec)
        if found:
            listed = [found, *listed] if spec.trend and not spec.unit else [*listed, found]
            listed = time_first(listed) if spec.unit and spec.chart in ("line", "", "auto") else listed
    compared = spec.compare or spec.versus or (spec.both and not listed and not spec.rows)
    if compared:
        listed += [
            f.columns[0]
            for f in spec.filters
            if f.operator == "in" and len(f.columns) == 1 and f.columns[0] not in listed and not f.unit
        ]
    timed = [f for f in spec.filters if f.unit in UNITS and f.operator == "in"] if compared else []
    groups += [Group(one.columns[0], one.unit) for one in timed if not spec.unit and one.columns[0] not in listed]
    for column in dict.fromkeys(listed):
        unit = (spec.unit or usual_unit(column, spec)) if column.kind == "date" else ""
        groups.append(Group(column, unit))
    return tuple(groups)


UNITS = ("year", "month", "quarter", "week", "day", "weekday")


def time_first(columns: list[Column]) -> list[Column]:
    """Time belongs on the x axis: dates before other groups."""
    return sorted(columns, key=lambda column: column.kind != "date")


def time_column(spec: Spec) -> Column | None:
    """The date column, or the column named as the unit is: `by month` with a column `month`."""
    dates = spec.file.of("date")
    if spec.dates or dates:
        return (spec.dates or dates)[0]
    for unit in (spec.unit,) if spec.unit else ("date", "year", "month", "quarter", "week", "day"):
        for column in spec.file.columns:
            if unit in stems(column.name):
                return column
    return None


def usual_unit(column: Column, spec: Spec) -> str:
    """Days when there are few of them or the column itself is asked for, months otherwise."""
    few = column.unique is not None and column.unique <= (366 if column in spec.groups else 62)
    return "day" if few and not spec.compare else "month"


def no_time(spec: Spec, groups: list[Group]) -> Say | None:
    if (spec.unit or spec.trend) and not any(
        g.unit or g.column.kind != "text" or spec.unit in stems(g.column.name) for g in groups
    ):
        return texts.no_dates(spec.file, spec.unit or "time")
    return None


def usual(spec: Spec, column: Column) -> str:
    """Sum or average, as the column's name suggests; `which region has the highest …` alike."""
    words = {ABBREVIATIONS.get(word, word) for word in stems(column.name)} | set(stems(column.name))
    if words & MEAN_WORDS:
        return "mean"
    if words & {singular(word) for word in SUM_WORDS}:
        return "sum"
    return "sum" if column.whole or spec.share or spec.chart == "pie" else "mean"
