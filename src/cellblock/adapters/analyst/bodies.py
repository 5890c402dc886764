"""Code of everything but aggregation: overviews, rows, distributions, scatter plots, correlations. Pure."""

from cellblock.adapters.analyst.aggregation import LONG, TURNED, crowded, group_keys, grouper, shown
from cellblock.adapters.analyst.expressions import axes, fact, indented, label_literal, literal_list, places
from cellblock.adapters.analyst.loading import column_of, literal
from cellblock.adapters.analyst.plan import Plan
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.words import human


def rows(plan: Plan) -> list[str]:
    """Rows, sorted and cut, with the columns that fit."""
    lines = []
    source = "df"
    if plan.measures:
        lines.append(f"rows = df.sort_values({literal(plan.measures[0].name)}, ascending={plan.order == 'asc'})")
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
    return f'print({literal(label)}, str({of}.min())[:10], "to", str({of}.max())[:10])'


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
    if not plan.groups:
        return [f"display(df[{literal_list([column.name for column in plan.measures])}].describe().T)"]
    lines, keys = group_keys(plan)
    table = f"table = {grouper(keys, plan)}[{literal(plan.measures[0].name)}].describe()"
    return [*lines, table, *shown(plan, "table")]


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
        body = [f"ax.boxplot(values, tick_labels=[{label_literal(human(column.name))}])"]
        return [*lines, "", *axes(plan, body, x="", y=human(column.name))]
    made, keys = group_keys(plan)
    functions = '["count", "median", "min", "max"]'
    lines = [*made, *lines, f"table = {grouper(keys, plan)}[{name}].agg({functions})", *shown(plan, "table"), ""]
    body = [
        f"groups = [(str(name), rows[{name}].dropna()) for name, rows in {grouper(keys, plan)}][:25]",
        "ax.boxplot([values for _, values in groups], tick_labels=[name for name, _ in groups])",
        *([TURNED] if crowded(plan.groups[0]) else []),
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
        *axes(
            plan, [f"ax.boxplot(values, tick_labels=[{label_literal(human(column.name))}])"], x="", y=human(column.name)
        ),
    ]
