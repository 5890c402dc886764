"""A Plan as readable pandas and matplotlib code, the kind a careful analyst writes. Pure.

The code prints what the answer will quote: a heading, `Label: value` lines, and tables shown with `display`. Names and
values of files are literals in it, so that no column name can become code.
"""

import keyword
import re
from dataclasses import replace

from cellblock.adapters.analyst.loading import column_of, literal, loading
from cellblock.adapters.analyst.plan import Filter, Group, Plan, measure_title, title
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.words import fold, human, stems

UNIT_CODE = {
    "year": '.dt.strftime("%Y")',
    "quarter": '.dt.to_period("Q").astype(str)',
    "month": '.dt.strftime("%Y-%m")',
    "week": '.dt.strftime("%G-W%V")',
    "day": '.dt.strftime("%Y-%m-%d")',
    "hour": ".dt.hour",
    "weekday": ".dt.day_name()",
}
FILTER_CODE = {
    "year": ".dt.year",
    "month": '.dt.strftime("%Y-%m")',
    "day": '.dt.strftime("%Y-%m-%d")',
    "month of year": ".dt.month",
    "quarter of year": ".dt.quarter",
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
RESERVED = {"df", "pd", "plt", "np", "fig", "ax", "json", "re", "path", "data", "display", "print", "format"}


def write(plan: Plan) -> str:
    """The code of a plan, ending in a newline."""
    body = [*overview(plan), *BODIES[plan.action](plan)]
    lines = [*filtering(plan), f"print({literal(title(plan))})", *body]
    text = "\n".join(lines)
    made = "\n".join(
        [f'pd.options.display.float_format = "{{:,.{decimals(plan)}f}}".format', "", *loading(plan), "", text]
    )
    modules = sorted((line for mark, line in MODULES.items() if mark in made), key=module_order)
    return "\n".join([*modules, "", made]) + "\n"


MODULES = {
    "pd.": "import pandas as pd",
    "plt.": "import matplotlib.pyplot as plt",
    "np.": "import numpy as np",
    "json.loads(": "import json",
    "re.sub(": "import re",
    "Path(": "from pathlib import Path",
}
"""What in the code asks for which import."""


def module_order(line: str) -> tuple[bool, bool, str]:
    third_party = any(name in line for name in ("pandas", "matplotlib", "numpy"))
    return third_party, line.startswith("from"), line


# --- small parts -----------------------------------------------------------------------------------------------------


def decimals(plan: Plan) -> int:
    """Two places, or four when the values shown are all below one."""
    return max((places(column) for column in plan.measures), default=2)


def places(column: Column) -> int:
    values = [abs(v) for v in column.sample if isinstance(v, int | float) and not isinstance(v, bool)]
    return 4 if values and max(values) < 1 else 2


def number_format(plan: Plan, column: Column | None = None, aggregate: str = "") -> str:
    """The format of one figure: `,` for whole numbers, `,.2f` otherwise."""
    if aggregate == "count" or column is None:
        return ","
    whole = column.whole and not plan.careful and aggregate in ("sum", "min", "max")
    return "," if whole else f",.{places(column)}f"


def fact(label: str, value: str, form: str) -> str:
    return f'print({literal(label + ":")}, f"{{{value}:{form}}}")'


def slug(*names: str) -> str:
    """A variable's name made of names from the file, or `result` when they make none."""
    words = "_by_".join("_".join(re.findall(r"[a-z0-9]+", fold(human(name)))) for name in names)
    fits = re.fullmatch(r"[a-z][a-z0-9_]{2,40}", words) and not keyword.iskeyword(words) and words not in RESERVED
    return words if fits and all(re.findall(r"[a-z]", part) for part in words.split("_by_")) else "result"


def filtering(plan: Plan) -> list[str]:
    if not plan.filters:
        return []
    lines = [f"df = df[{condition(one, plan)}]" for one in plan.filters]
    return [*lines, 'print("Rows that match:", f"{len(df):,}")', ""]


def condition(one: Filter, plan: Plan) -> str:
    """A boolean expression over `df`."""
    if one.operator == "mentions":
        names = literal_list([column.name for column in one.columns])
        pattern = literal(rf"\b{re.escape(str(one.values[0]))}\b")
        return f"df[{names}].astype(str).apply(lambda column: column.str.contains({pattern}, case=False)).any(axis=1)"
    if len(one.columns) > 1:
        names = literal_list([column.name for column in one.columns])
        sign = "~" if one.operator in ("!=", "not in") else ""
        return f"{sign}df[{names}].isin({literal_list(one.values)}).any(axis=1)"
    column = one.columns[0]
    of = column_of(column) + FILTER_CODE.get(one.unit, "")
    if (
        column.kind == "text"
        and one.operator in ("==", "!=")
        and isinstance(one.values[0], str)
        and one.values[0] not in column.sample
    ):
        return f"{of}.astype(str).str.casefold() {one.operator} {literal(one.values[0].casefold())}"
    return expression(of, one)


def expression(of: str, one: Filter) -> str:
    match one.operator:
        case "between":
            return f"{of}.between({literal(one.values[0])}, {literal(one.values[1])})"
        case "in":
            return f"{of}.isin({literal_list(one.values)})"
        case "not in":
            return f"~{of}.isin({literal_list(one.values)})"
        case "contains":
            return f"{of}.astype(str).str.contains({literal(one.values[0])}, case=False, regex=False)"
        case "starts":
            return f"{of}.astype(str).str.casefold().str.startswith({literal(str(one.values[0]).casefold())})"
        case "empty":
            return f"{of}.isna()"
        case "filled":
            return f"{of}.notna()"
        case _:
            return f"{of} {one.operator} {literal(one.values[0])}"


def literal_list(values: object) -> str:
    return f"[{', '.join(literal(value) for value in values)}]"  # type: ignore[attr-defined]  # a list or a tuple


def overview(plan: Plan) -> list[str]:
    """Two figures about the whole file, for `analyse this and …`."""
    if not plan.overview:
        return []
    return [] if plan.filters else ['print("Rows:", f"{len(df):,}")', 'print("Columns:", df.shape[1])']


# --- groups ----------------------------------------------------------------------------------------------------------


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
        days = '["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]'
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
    methods = [METHODS[aggregate] for aggregate in plan.aggregates] or ["sum"]
    if len(methods) == 1:
        return f"{frame}[{inside}].{methods[0]}()"
    return f"{frame}[{inside}].agg({literal_list(methods)})"


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
            value = f"{column_of(column)}.{METHODS[name]}()"
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
        lines.append(f"{name} = {name}[{having(plan, name)}]")
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


def having(plan: Plan, name: str) -> str:
    assert plan.having is not None
    return expression(name, plan.having)


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
        f"if len({name}):",
        f'    print("Highest:", {name}.idxmax(), "with", f"{{{name}.max():{form}}}")',
        f'    print("Lowest:", {name}.idxmin(), "with", f"{{{name}.min():{form}}}")',
    ]
    if not short(plan.groups[0]):
        lines.append(f'    print("Groups:", f"{{len({name}):,}}")')
    if plan.aggregate in ("sum", "count") and not plan.having:
        lines.append(f'    print("Total:", f"{{{name}.sum():{form}}}")')
    return lines


def series_chart(plan: Plan, name: str, cut: str = "") -> list[str]:
    """One series as bars, a line or a pie."""
    if not plan.chart:
        return []
    values = "share" if plan.share and plan.chart != "pie" else name
    many = not cut and not short(plan.groups[0]) and plan.chart not in ("line",)
    lines = ["", f"shown = {values}{cut or ('.head(25)' if many else '')}"]
    label = "Share in %" if (plan.share and plan.chart != "pie") or plan.action == "part" else measure_title(plan)
    match plan.chart:
        case "pie":
            body = [
                'ax.pie(shown, labels=shown.index.astype(str), autopct="%1.1f%%", startangle=90, counterclock=False)'
            ]
            return [
                *lines,
                "fig, ax = plt.subplots(figsize=(6, 6))",
                *body,
                f"ax.set_title({literal(title(plan))})",
                "plt.show()",
            ]
        case "line":
            body = ['ax.plot(shown.index.astype(str), shown.to_numpy(), marker="o")']
        case "barh":
            body = ["ax.barh(shown.index.astype(str), shown.to_numpy())", "ax.invert_yaxis()"]
            return [*lines, *axes(plan, body, x=label, y=plan.groups[0].title)]
        case _:
            body = ["ax.bar(shown.index.astype(str), shown.to_numpy())"]
    body.append("fig.autofmt_xdate()" if plan.groups[0].unit else 'plt.xticks(rotation=45, ha="right")')
    if plan.chart == "line" and not short(plan.groups[0]):
        body.append("ax.xaxis.set_major_locator(plt.MaxNLocator(12))")
    return [*lines, *axes(plan, body, x=plan.groups[0].title, y=label)]


def axes(plan: Plan, body: list[str], *, x: str, y: str) -> list[str]:
    """A figure around drawing lines: title, labels, show."""
    return [
        "fig, ax = plt.subplots(figsize=(8, 4.5))",
        *body,
        f"ax.set_title({literal(title(plan))})",
        f"ax.set_xlabel({literal(capital(x))})",
        f"ax.set_ylabel({literal(capital(y))})",
        "plt.tight_layout()",
        "plt.show()",
    ]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    if plan.top or not short(plan.groups[0]) and not plan.groups[0].unit:
        ascending = plan.order == "asc"
        lines.append(f"largest = table.sum(axis=1).sort_values(ascending={ascending}).head({plan.top or LONG}).index")
        lines.append("table = table.loc[largest]")
    lines += shown(plan, "table")
    form = number_format(plan, plan.measures[0] if plan.measures else None, plan.aggregate)
    lines += [
        f"if len({name}):",
        f'    print("Highest:", ", ".join(map(str, {name}.idxmax())), "with", f"{{{name}.max():{form}}}")',
        f'    print("Lowest:", ", ".join(map(str, {name}.idxmin())), "with", f"{{{name}.min():{form}}}")',
    ]
    return [*lines, *table_chart(plan, "Share in %" if plan.share else measure_title(plan))]


def few(group: Group) -> bool:
    known = group.column.unique is not None and group.column.unique <= WIDE
    return known or group.unit in ("year", "weekday")


def table_chart(plan: Plan, label: str) -> list[str]:
    """A chart with one series per column of `table`."""
    if not plan.chart or plan.chart == "pie" and len(plan.groups) > 1:
        return []
    kind = {"line": "line", "barh": "barh"}.get(plan.chart, "bar")
    options = ', marker="o"' if kind == "line" else ", stacked=True" if plan.chart == "stacked" else ""
    body = [f'table.plot(kind="{kind}", ax=ax{options})']
    if kind == "bar":
        body.append('plt.xticks(rotation=45, ha="right")')
    x, y = plan.groups[0].title, label
    return [
        "",
        "if len(table):",
        *indented(axes(plan, body, x=y if kind == "barh" else x, y=x if kind == "barh" else y)),
    ]


def indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


# --- other bodies ----------------------------------------------------------------------------------------------------


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


def rows(plan: Plan) -> list[str]:
    """Rows, sorted and cut, with the columns that fit."""
    lines = []
    source = "df"
    if plan.measures:
        lines.append(
            f'rows = df.sort_values({literal(plan.measures[0].name)}, ascending={plan.order == "asc"}, na_position="last")'
        )
        source = "rows"
    columns = row_columns(plan)
    chosen = f"[{literal_list(columns)}]" if len(columns) < len(plan.file.columns) else ""
    limit = f".head({plan.top or 20})"
    lines.append(f"table = {source}{chosen}{limit}.reset_index(drop=True)")
    return [*lines, "display(table)"]


def row_columns(plan: Plan) -> list[str]:
    """All columns of a narrow file; of a wide one those in use and the first others."""
    names = [column.name for column in plan.file.columns]
    if len(names) <= 10:
        return names
    used = {column.name for column in plan.measures} | {c.name for f in plan.filters for c in f.columns}
    kept = set([*used, *(name for name in names if name not in used)][:10])
    return [name for name in names if name in kept]


def preview(plan: Plan) -> list[str]:
    how = "tail" if plan.last else "head"
    return [*SIZE, f"display(df.{how}({min(plan.top or 5, 50)}))"]


SIZE = ['print("Rows:", f"{len(df):,}")', 'print("Columns:", df.shape[1])']


def shape(plan: Plan) -> list[str]:
    return list(SIZE)


def column_table(plan: Plan) -> list[str]:
    """What each column is."""
    nested = plan.file.reader in ("json", "jsonl", "parquet") or plan.careful
    distinct = "df.astype(str).nunique()" if nested else "df.nunique()"
    return [
        "columns = pd.DataFrame(",
        f'    {{"type": df.dtypes.astype(str), "missing": df.isna().sum(), "distinct": {distinct}}}',
        ")",
        f"display(columns.head({LONG}))",
    ]


def profile(plan: Plan) -> list[str]:
    """Size, columns, statistics of the numbers, and their histograms."""
    lines = [*SIZE, 'print("Missing cells:", f"{df.isna().sum().sum():,}")', *column_table(plan)]
    for column in plan.file.of("date")[:1]:
        of = column_of(column)
        lines.append(span(of, column))
    numbers = [column.name for column in plan.file.of("number") if not column.identifier]
    if numbers:
        lines += ["", f"numbers = df[{literal_list(numbers)}]"]
    elif plan.careful:
        lines += ["", 'numbers = df.select_dtypes("number")']
    else:
        return lines
    show = [
        "display(numbers.describe().T)",
        "numbers.iloc[:, :4].hist(bins=20, figsize=(8, 4.5))",
        "plt.tight_layout()",
        "plt.show()",
    ]
    return [*lines, *(show if numbers else ["if numbers.shape[1] and len(numbers):", *indented(show)])]


def span(of: str, column: Column) -> str:
    label = f"Period of {human(column.name)}:"
    return f'print({literal(label)}, {of}.min(), "to", {of}.max())'


def columns_only(plan: Plan) -> list[str]:
    return ['print("Columns:", df.shape[1])', *column_table(plan)]


def missing(plan: Plan) -> list[str]:
    """Missing values per column."""
    names = [column.name for column in plan.measures]
    frame = f"df[{literal_list(names)}]" if names else "df"
    lines = [
        f"missing = {frame}.isna().sum().sort_values(ascending=False)",
        'table = pd.DataFrame({"missing": missing, "percent": missing / max(len(df), 1) * 100})',
        f"display(table.head({LONG}))",
        'print("Rows:", f"{len(df):,}")',
        'print("Missing cells:", f"{missing.sum():,}")',
        'print("Columns with missing values:", (missing > 0).sum())',
    ]
    if plan.chart:
        lines += [
            "",
            *axes(
                plan,
                ["ax.bar(missing.index.astype(str), missing.to_numpy())", 'plt.xticks(rotation=45, ha="right")'],
                x="column",
                y="missing values",
            ),
        ]
    return lines


def distinct(plan: Plan) -> list[str]:
    of = column_of(plan.measures[0])
    return [
        f"values = {of}.value_counts()",
        'print("Distinct values:", f"{len(values):,}")',
        f'display(values.head({LONG}).to_frame("rows"))',
    ]


def stats(plan: Plan) -> list[str]:
    functions = '["count", "mean", "median", "std", "min", "max"]'
    if not plan.groups:
        names = literal_list([column.name for column in plan.measures])
        return [f"table = df[{names}].agg({functions}).T", "display(table)"]
    lines, keys = group_keys(plan)
    return [
        *lines,
        f"table = {grouper(keys, plan)}[{literal(plan.measures[0].name)}].agg({functions})",
        *shown(plan, "table"),
    ]


def five_figures(column: Column) -> list[str]:
    form = f",.{places(column)}f"
    facts = (
        ("Values", "count", ","),
        ("Average", "mean", form),
        ("Median", "median", form),
        ("Minimum", "min", form),
        ("Maximum", "max", form),
    )
    return [fact(label, f"values.{method}()", shape) for label, method, shape in facts]


def histogram(plan: Plan) -> list[str]:
    column = plan.measures[0]
    bins = min(plan.bins or 20, 200)
    lines = [f"values = {column_of(column)}.dropna()", *five_figures(column), ""]
    if not plan.groups:
        body = [f'ax.hist(values, bins={bins}, edgecolor="white")']
    else:
        made, keys = group_keys(plan)
        lines = [*made, *lines]
        body = [
            f"for name, rows in {grouper(keys, plan)}:",
            f"    ax.hist(rows[{literal(column.name)}].dropna(), bins={bins}, alpha=0.5, label=str(name))",
            "ax.legend()",
        ]
    return [*lines, *axes(plan, body, x=human(column.name), y="rows")]


def box(plan: Plan) -> list[str]:
    column = plan.measures[0]
    name = literal(column.name)
    lines = [f"values = {column_of(column)}.dropna()", *five_figures(column)]
    if not plan.groups:
        body = [f"ax.boxplot(values, tick_labels=[{literal(human(column.name))}])"]
        return [*lines, "", *axes(plan, body, x="", y=human(column.name))]
    made, keys = group_keys(plan)
    functions = '["count", "median", "min", "max"]'
    lines = [*made, *lines, f"table = {grouper(keys, plan)}[{name}].agg({functions})", *shown(plan, "table"), ""]
    body = [
        f"groups = [(str(name), rows[{name}].dropna()) for name, rows in {grouper(keys, plan)}][:25]",
        "ax.boxplot([values for _, values in groups], tick_labels=[name for name, _ in groups])",
        'plt.xticks(rotation=45, ha="right")',
    ]
    return [*lines, *axes(plan, body, x=plan.groups[0].title, y=human(column.name))]


def scatter(plan: Plan) -> list[str]:
    """Points, and how strongly the two go together."""
    x, y = plan.measures
    lines = ['print("Rows:", f"{len(df):,}")']
    if x.kind == y.kind == "number":
        lines.append(correlation_fact(x, y))
    if plan.groups:
        made, keys = group_keys(plan)
        lines += made
        body = [
            f"for name, rows in {grouper(keys, plan)}:",
            f"    ax.scatter(rows[{literal(x.name)}], rows[{literal(y.name)}], alpha=0.7, label=str(name))",
            "ax.legend()",
        ]
    else:
        body = [f"ax.scatter({column_of(x)}, {column_of(y)}, alpha=0.7)"]
    return [*lines, "", *axes(plan, body, x=human(x.name), y=human(y.name))]


def correlation_fact(x: Column, y: Column) -> str:
    return f'print("Correlation:", format({column_of(x)}.corr({column_of(y)}), ".3f"))'


def correlation(plan: Plan) -> list[str]:
    if len(plan.measures) == 2:
        return scatter(plan)
    names = literal_list([column.name for column in plan.measures])
    lines = [
        f"correlation = df[{names}].corr()",
        "display(correlation)",
        "upper = correlation.where(np.triu(np.ones(correlation.shape, dtype=bool), k=1)).stack()",
        "if len(upper):",
        "    one, other = upper.abs().idxmax()",
        '    print("Strongest:", one, "and", other, "with", f"{upper[(one, other)]:.3f}")',
        "",
    ]
    body = [
        'picture = ax.imshow(correlation, cmap="coolwarm", vmin=-1, vmax=1)',
        'ax.set_xticks(range(len(correlation)), correlation.columns, rotation=45, ha="right")',
        "ax.set_yticks(range(len(correlation)), correlation.columns)",
        "fig.colorbar(picture)",
    ]
    figure = [line for line in axes(plan, body, x="", y="") if "label(" not in line]
    return [*lines, *figure]


def duplicates(plan: Plan) -> list[str]:
    frame = "df.astype(str)" if plan.file.reader in ("json", "jsonl") else "df"
    return [*SIZE[:1], f'print("Duplicate rows:", f"{{{frame}.duplicated().sum():,}}")']


def outliers(plan: Plan) -> list[str]:
    """Values further than 1.5 interquartile ranges from the quartiles."""
    column = plan.measures[0]
    form = f",.{places(column)}f"
    lines = [
        f"values = {column_of(column)}.dropna()",
        "low, high = values.quantile(0.25), values.quantile(0.75)",
        "lower, upper = low - 1.5 * (high - low), high + 1.5 * (high - low)",
        f"table = df[({column_of(column)} < lower) | ({column_of(column)} > upper)]",
        fact("Lower limit", "lower", form),
        fact("Upper limit", "upper", form),
        fact("Outliers", "len(table)", ","),
        "display(table.head(20).reset_index(drop=True))",
        "",
    ]
    return [
        *lines,
        *axes(plan, [f"ax.boxplot(values, tick_labels=[{literal(human(column.name))}])"], x="", y=human(column.name)),
    ]


BODIES = {
    "profile": profile,
    "preview": preview,
    "shape": shape,
    "columns": columns_only,
    "aggregate": aggregate,
    "rows": rows,
    "histogram": histogram,
    "scatter": scatter,
    "box": box,
    "correlation": correlation,
    "missing": missing,
    "distinct": distinct,
    "stats": stats,
    "part": part,
    "duplicates": duplicates,
    "outliers": outliers,
}
