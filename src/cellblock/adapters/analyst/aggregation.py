"""Code that groups and aggregates: one figure, a series, several, a cross table, a share; each with its chart. Pure."""

import calendar
from dataclasses import replace

from cellblock.adapters.analyst.expressions import (
    axes,
    condition,
    expression,
    fact,
    indented,
    label_literal,
    literal_list,
    number_format,
    slug,
)
from cellblock.adapters.analyst.loading import column_of, literal
from cellblock.adapters.analyst.plan import Group, Plan, measure_title, title
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.words import stems

UNIT_CODE = {
    "year": '.dt.strftime("%Y")',
    "quarter": '.dt.to_period("Q").astype(str)',
    "month": '.dt.strftime("%Y-%m")',
    "week": '.dt.strftime("%G-W%V")',
    "day": '.dt.strftime("%Y-%m-%d")',
    "hour": ".dt.hour",
    "weekday": ".dt.day_name()",
}


METHODS = {
    "sum": "sum",
    "mean": "mean",
    "median": "median",
    "count": "count",
    "min": "min",
    "max": "max",
    "std": "std",
    "var": "var",
}


LONG = 30
"""Rows of a table that are shown."""


WIDE = 10
"""Series of a chart that are drawn."""


def group_keys(plan: Plan) -> tuple[list[str], list[str]]:
    """The lines that make the columns to group by, and the names of those columns as literals."""
    taken = {column.name for column in plan.file.columns}
    lines: list[str] = []
    keys = []
    for group in plan.groups:
        if not group.unit:
            keys.append(literal(group.column.name))
            continue
        name = group.unit
        while name in taken:
            name += "_"
        taken.add(name)
        lines += unit_lines(group, name, plan)
        keys.append(literal(name))
    return lines, keys


def unit_lines(group: Group, name: str, plan: Plan) -> list[str]:
    of = column_of(group.column)
    lines = []
    if group.unit == "quarter" and (group.column.missing != 0 or plan.careful):
        lines.append(f"df = df[{of}.notna()].copy()")
    elif plan.filters:
        lines.append("df = df.copy()")
    lines.append(f"df[{literal(name)}] = {of}{UNIT_CODE[group.unit]}")
    if group.unit == "weekday":
        days = literal_list(list(calendar.day_name))
        lines.append(f"df[{literal(name)}] = pd.Categorical(df[{literal(name)}], categories={days}, ordered=True)")
    return lines


def grouper(keys: list[str], plan: Plan) -> str:
    inside = keys[0] if len(keys) == 1 else f"[{', '.join(keys)}]"
    observed = (
        ", observed=True"
        if any(group.unit == "weekday" or group.column.dtype == "category" for group in plan.groups)
        else ""
    )
    return f"df.groupby({inside}{observed})"


def aggregated(plan: Plan, frame: str) -> str:
    """`frame["revenue"].sum()` and its like."""
    if plan.counting:
        return f"{frame}.size()"
    names = [column.name for column in plan.measures]
    inside = literal(names[0]) if len(names) == 1 else literal_list(names)
    if len(plan.aggregates) < 2:
        return f"{frame}[{inside}].{method(plan.aggregate)}"
    if any(name not in METHODS for name in plan.aggregates):
        named = [f"{name}=lambda values: values.{method(name)}" for name in plan.aggregates]
        return f"{frame}[{literal(names[0])}].agg({', '.join(named)})"
    return f"{frame}[{inside}].agg({literal_list([METHODS[name] for name in plan.aggregates])})"


def method(aggregate: str) -> str:
    """`sum()`, `quantile(0.95)`."""
    return f"{METHODS[aggregate]}()" if aggregate in METHODS else f"quantile({int(aggregate[1:]) / 100})"


def aggregate(plan: Plan) -> list[str]:
    if not plan.groups:
        return scalars(plan)
    if len(plan.groups) > 1:
        return crossed(plan)
    return wide(plan) if len(plan.measures) > 1 or len(plan.aggregates) > 1 else single(plan)


def scalars(plan: Plan) -> list[str]:
    """One figure per measure and aggregate."""
    if plan.counting or not plan.measures:
        return ['print("Number of rows:", f"{len(df):,}")']
    lines = []
    for column in plan.measures:
        for name in plan.aggregates:
            value = f"{column_of(column)}.{method(name)}"
            label = measure_title(one_measure(plan, column, name))
            variable = slug(name + " " + column.name)
            lines += [f"{variable} = {value}", fact(label, variable, number_format(plan, column, name))]
    return lines


def one_measure(plan: Plan, column: Column, aggregate: str) -> Plan:
    return Plan(plan.file, "aggregate", (column,), (aggregate,))


def single(plan: Plan) -> list[str]:
    """One measure over one group: a sorted series, its table, its extremes, its chart."""
    lines, keys = group_keys(plan)
    measure = plan.measures[0].name if plan.measures else "rows"
    name = slug(measure, plan.groups[0].title)
    value = aggregated(plan, grouper(keys, plan))
    if plan.aggregate not in ("sum", "count"):
        value += ".dropna()"
    lines.append(f"{name} = {value}{sorting(plan)}")
    form = number_format(plan, plan.measures[0] if plan.measures else None, plan.aggregate)
    if plan.having:
        lines.append(f"{name} = {name}[{expression(name, plan.having)}]")
    label = measure_title(plan)
    if plan.share:
        lines.append(f"share = {name} / {name}.sum() * 100")
        frame = f'pd.DataFrame({{{literal(label)}: {name}, "Share in %": share}})'
    else:
        frame = f"{name}.to_frame({literal(label)})"
    cut = ""
    if plan.top:
        lines.append(f"table = {frame}.head({plan.top})")
        frame, cut = "table", f".head({plan.top})"
    lines += shown(plan, frame)
    lines += facts(plan, name, form)
    return [*lines, *series_chart(plan, name, cut)]


def sorting(plan: Plan) -> str:
    """Categories by value, times and numbers by themselves, unless an order is asked for."""
    if plan.order == "key":
        return ".sort_index()"
    if plan.order in ("asc", "desc"):
        return f".sort_values(ascending={plan.order == 'asc'})"
    natural = (
        plan.groups[0].unit or plan.groups[0].column.kind in ("number", "date") or natural_order(plan.groups[0].column)
    )
    return "" if natural else ".sort_values(ascending=False)"


def natural_order(column: Column) -> bool:
    """Whether the values themselves are times, such as a text column `month` with 2024-01."""
    return bool({"month", "year", "quarter", "week", "date"} & set(stems(column.name)))


def shown(plan: Plan, frame: str) -> list[str]:
    """The table, cut when it may be long."""
    if plan.top or short(plan.groups[0]):
        return [f"display({frame})"]
    return [f"display({frame}.head({LONG}))"]


TURNED = 'plt.xticks(rotation=45, ha="right")'


def crowded(group: Group) -> bool:
    """Whether the names of the groups may not fit side by side."""
    if group.unit:
        return group.unit not in ("year", "weekday", "hour")
    names = [str(value) for value in group.column.sample]
    return not (group.column.all_values_known and len(names) <= 12 and len("  ".join(names)) <= 70)


def short(group: Group) -> bool:
    """Whether a grouping is known to have few groups."""
    if group.unit:
        return group.unit in ("year", "weekday", "hour")
    return group.column.unique is not None and group.column.unique <= LONG


def facts(plan: Plan, name: str, form: str) -> list[str]:
    """The extremes, and what it adds up to."""
    if plan.top:
        return []
    lines = [
        f'print("Highest:", {name}.idxmax(), "with", f"{{{name}.max():{form}}}")',
        f'print("Lowest:", {name}.idxmin(), "with", f"{{{name}.min():{form}}}")',
    ]
    if not short(plan.groups[0]):
        lines.append(f'print("Groups:", f"{{len({name}):,}}")')
    if plan.per_group:
        lines.append(f'print("Average:", f"{{{name}.mean():,.2f}}")')
    if plan.aggregate in ("sum", "count") and not plan.having:
        lines.append(f'print("Total:", f"{{{name}.sum():{form}}}")')
    return unless_empty(plan, name, lines)


def unless_empty(plan: Plan, name: str, lines: list[str]) -> list[str]:
    """Lines that need at least one group: there may be none when conditions have left no row."""
    sure = bool(plan.file.rows) and not (plan.filters or plan.having or plan.careful)
    return lines if sure else [f"if len({name}):", *indented(lines)]


DRAWN = 25
"""Bars of one chart."""
SLICES = 10
"""Slices of a pie, the one for all others included."""


def series_chart(plan: Plan, name: str, cut: str = "") -> list[str]:
    """One series as bars, a line or a pie."""
    if not plan.chart:
        return []
    group = plan.groups[0]
    if plan.chart == "pie":
        return ["", *pie(plan, name, cut)]
    values = "share" if plan.share else name
    lines, suffix = [""], ""
    if cut or (not short(group) and plan.chart != "line"):
        lines.append(f"shown = {values}{cut or f'.head({DRAWN})'}")
        values, suffix = "shown", "" if cut else f", the first {DRAWN}"
    label = "Share in %" if plan.share or plan.action == "part" else measure_title(plan)
    if plan.chart == "barh":
        body = [f"ax.barh({tick_labels(group, values)}, {values})", "ax.invert_yaxis()"]
        return [*lines, *axes(plan, body, x=label, y=group.title, suffix=suffix)]
    if plan.chart == "line":
        body = [f'ax.plot({tick_labels(group, values)}, {values}, marker="o")']
    else:
        body = [f"ax.bar({tick_labels(group, values)}, {values})"]
    if crowded(group):
        body.append("fig.autofmt_xdate()" if group.unit else TURNED)
    if plan.chart == "line" and not short(group):
        body.append("ax.xaxis.set_major_locator(plt.MaxNLocator(12, integer=True))")
    return [*lines, *axes(plan, body, x=group.title, y=label, suffix=suffix)]


def tick_labels(group: Group, values: str) -> str:
    """The names of the groups as text; a dollar sign in them is no formula."""
    dollars = any("$" in str(value) for value in group.column.sample)
    return f"{values}.index.astype(str)" + ('.str.replace("$", r"\\$")' if dollars else "")


def pie(plan: Plan, name: str, cut: str) -> list[str]:
    """A pie of all groups: of many, the small ones together are one slice."""
    lines, values = [], name
    if cut:
        values = f"{name}{cut}"
    elif not few(plan.groups[0]):
        lines = [
            f'others = pd.Series({{"others": {name}.iloc[{SLICES - 1}:].sum()}})',
            f"shown = pd.concat([{name}.head({SLICES - 1}), others[others > 0]])",
        ]
        values = "shown"
    labels = tick_labels(plan.groups[0], values)
    return [
        *lines,
        "fig, ax = plt.subplots(figsize=(6, 6))",
        f'ax.pie({values}, labels={labels}, autopct="%1.1f%%", startangle=90, counterclock=False)',
        f"ax.set_title({label_literal(title(plan))})",
        "plt.show()",
    ]


def wide(plan: Plan) -> list[str]:
    """Several measures or aggregates over one group: one table, one chart with a series each."""
    lines, keys = group_keys(plan)
    lines.append(f"table = {aggregated(plan, grouper(keys, plan))}")
    if len(plan.measures) > 1 and len(plan.aggregates) > 1:
        lines.append('table.columns = [" ".join(map(str, names)) for names in table.columns]')
    by = "table.columns[0]"
    if plan.order in ("asc", "desc"):
        lines.append(f"table = table.sort_values({by}, ascending={plan.order == 'asc'})")
    elif sorting(plan) == ".sort_values(ascending=False)":
        lines.append(f"table = table.sort_values({by}, ascending=False)")
    if plan.top:
        lines.append(f"table = table.head({plan.top})")
    return [*lines, *shown(plan, "table"), *table_chart(plan, measure_title(plan))]


def crossed(plan: Plan) -> list[str]:
    """One measure over two groups: a cross table."""
    lines, keys = group_keys(plan)
    measure = plan.measures[0].name if plan.measures else "rows"
    name = slug(measure, *(group.title for group in plan.groups))
    one = plan if plan.counting else Plan(plan.file, "aggregate", plan.measures[:1], plan.aggregates[:1])
    lines.append(f"{name} = {aggregated(one, grouper(keys, plan))}")
    fill = "fill_value=0" if plan.aggregate in ("sum", "count") else ""
    lines.append(f"table = {name}.unstack({fill})")
    if plan.share:
        lines.append(f"table = table / {name}.sum() * 100")
    if not few(plan.groups[1]):
        lines += ["# only the largest columns fit into one chart", f"table = table[table.sum().nlargest({WIDE}).index]"]
    if plan.top or (not short(plan.groups[0]) and not plan.groups[0].unit):
        ascending = plan.order == "asc"
        lines.append(f"largest = table.sum(axis=1).sort_values(ascending={ascending}).head({plan.top or LONG}).index")
        lines.append("table = table.loc[largest]")
    lines += shown(plan, "table")
    form = number_format(plan, plan.measures[0] if plan.measures else None, plan.aggregate)
    highest = f'print("Highest:", ", ".join(map(str, {name}.idxmax())), "with", f"{{{name}.max():{form}}}")'
    lines += unless_empty(plan, name, [highest])
    return [*lines, *table_chart(plan, "Share in %" if plan.share else measure_title(plan))]


def few(group: Group) -> bool:
    known = group.column.unique is not None and group.column.unique <= WIDE
    return known or group.unit in ("year", "weekday")


def table_chart(plan: Plan, label: str) -> list[str]:
    """A chart with one series per column of `table`."""
    if not plan.chart or (plan.chart == "pie" and len(plan.groups) > 1):
        return []
    kind = {"line": "line", "barh": "barh"}.get(plan.chart, "bar")
    options = ', marker="o"' if kind == "line" else ", stacked=True" if plan.chart == "stacked" else ""
    body = [f'table.plot(kind="{kind}", ax=ax{options})']
    if kind == "bar":
        body.append(TURNED if crowded(plan.groups[0]) else "plt.xticks(rotation=0)")
    x, y = plan.groups[0].title, label
    if kind == "barh":
        x, y = y, x
    return ["", *unless_empty(plan, "table", axes(plan, body, x=x, y=y))]


def part(plan: Plan) -> list[str]:
    """A part of the whole, by conditions."""
    selected = " & ".join(f"({condition(one, plan)})" for one in plan.parts)
    lines = [f"selected = {selected}"]
    if plan.groups:
        return [*lines, *part_by_group(plan)]
    if plan.measures:
        of = literal(plan.measures[0].name)
        form = number_format(plan, plan.measures[0], "sum")
        lines += [f"part = df.loc[selected, {of}].sum()", f"whole = df[{of}].sum()"]
    else:
        form = ","
        lines += ["part = selected.sum()", "whole = len(df)"]
    return [*lines, fact("Part", "part", form), fact("Whole", "whole", form), fact("Share", "part / whole", ".1%")]


def part_by_group(plan: Plan) -> list[str]:
    """The share of rows, or of a column, that is selected in each group."""
    made, keys = group_keys(plan)
    if plan.measures:
        of = column_of(plan.measures[0])
        lines = [f"df[{literal(PART)}] = {of}.where(selected, 0)", f"groups = {grouper(keys[:1], plan)}"]
        value = f"groups[{literal(PART)}].sum() / groups[{literal(plan.measures[0].name)}].sum() * 100"
    else:
        lines = [f"df[{literal(PART)}] = selected", f"groups = {grouper(keys[:1], plan)}"]
        value = f"groups[{literal(PART)}].mean() * 100"
    copied = ["df = df.copy()"] if plan.filters and not made else []
    lines = [*made, *copied, *lines, f"share = ({value}){sorting(plan)}", *shown(plan, 'share.to_frame("Share in %")')]
    return [*lines, *facts(replace(plan, aggregates=("mean",)), "share", ",.2f"), *series_chart(plan, "share")]


PART = "in the share"
