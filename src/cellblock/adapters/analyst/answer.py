"""Outputs into an answer. Pure. Every figure in it is copied from the outputs; none is computed here."""

import re
from collections.abc import Callable, Sequence

from cellblock.adapters.analyst.outputs import Outputs, Table
from cellblock.adapters.analyst.plan import Plan, measure_title, title
from cellblock.adapters.analyst.words import clean, human

ROWS = 10
"""Rows of a table that an answer repeats; the notebook has them all."""
CHARTS = {
    "bar": "bar chart",
    "barh": "bar chart",
    "stacked": "stacked bar chart",
    "line": "line chart",
    "pie": "pie chart",
    "scatter": "scatter plot",
    "histogram": "histogram",
    "box": "box plot",
    "heatmap": "heatmap",
}


def answer(plan: Plan, outputs: Outputs) -> str:
    """The answer to a question whose plan was carried out."""
    if outputs.fact("Rows that match") == "0":
        return f"No rows match: {shown(title(plan))}."
    paragraphs = [*ANSWERS[plan.action](plan, outputs)]
    if plan.note:
        paragraphs.append(plan.note)
    if outputs.pictures and plan.chart in CHARTS:
        paragraphs.append(f"The {CHARTS[plan.chart]} is in the notebook.")
    elif outputs.pictures:
        paragraphs.append("The charts are in the notebook.")
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def complete(plan: Plan, outputs: Outputs) -> bool:
    """Whether the outputs hold what the answer needs: figures, and not the trace of numbers that were no numbers."""
    if outputs.fact("Rows that match") == "0":
        return True
    if plan.action == "aggregate" and not plan.groups:
        figures = [outputs.fact(label) for label in labels(plan)]
        return all(figures) and not any(figure == "nan" for figure in figures)
    return bool(
        outputs.tables or any(outputs.fact(label) for label in ("Rows", "Columns", "Share", "Values", "Duplicate rows"))
    )


def shown(text: str) -> str:
    """Text from data within an answer's markdown: one line, and nothing in it is markup."""
    return re.sub(r"([\\\[\]<>|*])", r"\\\1", clean(text, 200))


def cell(text: str) -> str:
    return "–" if text in ("NaN", "nan", "NaT", "None", "<NA>", "") else shown(text)


def markdown(table: Table, limit: int = ROWS) -> str:
    """The first rows as a markdown table, and a word when there are more."""
    if not table.rows:
        return ""
    keep = min(len(table.columns), 9)
    sides = ["--:" if is_figures([row[n] for row in table.rows[:limit]]) else "---" for n in range(keep)]
    lines = [row_of([cell(name) if name else " " for name in table.columns[:keep]]), f"|{'|'.join(sides)}|"]
    lines += [row_of([cell(value) for value in row[:keep]]) for row in table.rows[:limit]]
    more = "\n\nThe whole table is in the notebook." if len(table.rows) > limit or keep < len(table.columns) else ""
    return "\n".join(lines) + more


def is_figures(cells: Sequence[str]) -> bool:
    """Whether a column's cells are numbers, which align right."""
    return all(re.fullmatch(r"-?[\d,]+(\.\d+)?%?|NaN|nan|", text) for text in cells)


def row_of(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def bold(text: str) -> str:
    return f"**{shown(text)}**"


def matching(outputs: Outputs) -> str:
    """How many rows the conditions left, as a clause."""
    count = outputs.fact("Rows that match")
    return f" {count} rows match." if count else ""


def size(outputs: Outputs) -> str:
    rows, columns = outputs.fact("Rows"), outputs.fact("Columns")
    return f"The file has {rows} rows and {columns} columns." if rows and columns else ""


def first_table(outputs: Outputs) -> str:
    return markdown(outputs.tables[0]) if outputs.tables else ""


# --- one function per action -----------------------------------------------------------------------------------------


def labels(plan: Plan) -> list[str]:
    """The labels of the single figures an aggregate prints."""
    if plan.counting or not plan.measures:
        return ["Number of rows"]
    return [
        measure_title(Plan(plan.file, "aggregate", (column,), (name,)))
        for column in plan.measures
        for name in plan.aggregates
    ]


def aggregate(plan: Plan, outputs: Outputs) -> list[str]:
    if not plan.groups:
        return scalars(plan, outputs)
    opening = f"{bold(title(plan))}."
    if plan.having and outputs.tables and not outputs.tables[0].rows:
        return [f"{opening} None is."]
    if plan.overview:
        opening = f"{size(outputs)} {opening}".strip()
    return [f"{opening}{matching(outputs)}{extremes(plan, outputs)}", first_table(outputs)]


def scalars(plan: Plan, outputs: Outputs) -> list[str]:
    where = title(plan).partition(", where ")[2]
    about = f" where {shown(where)}" if where else ""
    figures = [(label, outputs.fact(label)) for label in labels(plan)]
    if len(figures) == 1:
        return [
            f"{shown(figures[0][0])}{about}: **{figures[0][1]}**.",
            "" if plan.counting else matching(outputs).strip(),
        ]
    return [f"{bold(title(plan))}:", "\n".join(f"- {shown(label)}: {figure}" for label, figure in figures)]


def extremes(plan: Plan, outputs: Outputs) -> str:
    """The highest and the lowest group, and the total, as far as they were printed."""
    highest, lowest, total = pair(outputs.fact("Highest")), pair(outputs.fact("Lowest")), outputs.fact("Total")
    sentence = ""
    if highest and lowest and highest != lowest:
        first, second = (lowest, highest) if plan.order == "asc" else (highest, lowest)
        words = ("lowest", "highest") if plan.order == "asc" else ("highest", "lowest")
        sentence = (
            f" **{shown(first[0])}** is {words[0]} with {first[1]}; {shown(second[0])} is {words[1]} with {second[1]}."
        )
    elif highest and len(plan.groups) > 1:
        sentence = f" **{shown(highest[0])}** is highest with {highest[1]}."
    elif highest:
        sentence = f" There is one group: **{shown(highest[0])}** with {highest[1]}."
    elif plan.top and outputs.tables and outputs.tables[0].rows:
        first_row = outputs.tables[0].rows[0]
        sentence = f" **{cell(first_row[0])}** comes first with {cell(first_row[1])}."
    average = outputs.fact("Average") if plan.per_group else ""
    sentence += f" On average it is {average} per {shown(plan.groups[0].title)}." if average else ""
    return sentence + (f" The total is {total}." if total else "")


def pair(text: str) -> tuple[str, str] | None:
    """`North with 1,234.00` as (North, 1,234.00)."""
    name, separator, figure = text.rpartition(" with ")
    return (name, figure) if separator else None


def rows(plan: Plan, outputs: Outputs) -> list[str]:
    return [f"{bold(title(plan))}.{matching(outputs)}", numbered(outputs)]


def numbered(outputs: Outputs) -> str:
    """A table of rows without pandas' own row numbers."""
    if not outputs.tables:
        return ""
    table = outputs.tables[0]
    return markdown(Table(table.columns[1:], tuple(row[1:] for row in table.rows)))


def profile(plan: Plan, outputs: Outputs) -> list[str]:
    missing = outputs.fact("Missing cells")
    gaps = f" {missing} cells are missing." if missing and missing != "0" else " No cell is missing." if missing else ""
    period = next((line for line in outputs.lines if line.startswith("Period of ")), "")
    tables = [markdown(table, 30) for table in outputs.tables[:1]]
    numbers = [markdown(statistics(table), 12) for table in outputs.tables[1:2]]
    opening = f"{bold(plan.file.path)}: {size(outputs)[0:1].lower()}{size(outputs)[1:]}{gaps}"
    return [opening, f"{shown(period)}." if period else "", *tables, *numbers]


def statistics(table: Table) -> Table:
    """Of pandas' `describe` the columns a reader looks for."""
    wanted = [n for n, name in enumerate(table.columns) if n == 0 or name in ("mean", "50%", "min", "max")]
    names = tuple({"50%": "median"}.get(table.columns[n], table.columns[n]) for n in wanted)
    return Table(names, tuple(tuple(row[n] for n in wanted) for row in table.rows))


def preview(plan: Plan, outputs: Outputs) -> list[str]:
    return [size(outputs), numbered(outputs)]


def shape(plan: Plan, outputs: Outputs) -> list[str]:
    return [size(outputs)]


def columns(plan: Plan, outputs: Outputs) -> list[str]:
    opening = f"The file has {outputs.fact('Columns')} columns."
    return [opening, markdown(outputs.tables[0], 40) if outputs.tables else ""]


def missing(plan: Plan, outputs: Outputs) -> list[str]:
    count, rows_seen = outputs.fact("Missing cells"), outputs.fact("Rows")
    if count == "0":
        return [f"No values are missing in the {rows_seen} rows."]
    several = f", in {outputs.fact('Columns with missing values')} columns" if not plan.measures else ""
    opening = f"{count} values are missing{several}; there are {rows_seen} rows."
    return [opening, first_table(outputs)]


def distinct(plan: Plan, outputs: Outputs) -> list[str]:
    name = shown(human(plan.measures[0].name))
    return [
        f"There are **{outputs.fact('Distinct values')}** distinct values of {name}.{matching(outputs)}",
        first_table(outputs),
    ]


def figures(plan: Plan, outputs: Outputs) -> list[str]:
    """The five figures of a distribution, and the table by group."""
    words = ("Values", "Average", "Median", "Minimum", "Maximum")
    known = [f"{word.lower()} {outputs.fact(word)}" for word in words if outputs.fact(word)]
    return [f"{bold(title(plan))}: {', '.join(known)}.", first_table(outputs)]


def relation(plan: Plan, outputs: Outputs) -> list[str]:
    """A correlation, and what it means in words."""
    if outputs.tables:
        strongest = pair(outputs.fact("Strongest"))
        sentence = f" Strongest: **{shown(strongest[0])}** with {strongest[1]}." if strongest else ""
        return [f"{bold(title(plan))}.{sentence}", first_table(outputs)]
    strength = outputs.fact("Correlation")
    rows_seen = outputs.fact("Rows")
    if not strength:
        return [f"{bold(title(plan))}: {rows_seen} rows."]
    return [f"{bold(title(plan))}: the correlation is **{strength}**{meaning(strength)}, over {rows_seen} rows."]


def meaning(strength: str) -> str:
    """A correlation in words; the limits are the usual ones."""
    try:
        value = float(strength)
    except ValueError:
        return ""
    if value != value:
        return " (it cannot be computed)"
    names = ((0.8, "very strong"), (0.6, "strong"), (0.4, "moderate"), (0.2, "weak"))
    word = next((name for limit, name in names if abs(value) >= limit), "")
    return f", a {word} {'positive' if value > 0 else 'negative'} one" if word else ", so hardly any"


def stats(plan: Plan, outputs: Outputs) -> list[str]:
    return [f"{bold(title(plan))}.{matching(outputs)}", first_table(outputs)]


def part(plan: Plan, outputs: Outputs) -> list[str]:
    if plan.groups:
        return [f"{bold(title(plan))}.{matching(outputs)}{extremes(plan, outputs)}", first_table(outputs)]
    fraction, some, whole = outputs.fact("Share"), outputs.fact("Part"), outputs.fact("Whole")
    return [f"{shown(title(plan))}: **{fraction}** ({some} of {whole})."]


def duplicates(plan: Plan, outputs: Outputs) -> list[str]:
    return [f"{outputs.fact('Duplicate rows')} of {outputs.fact('Rows')} rows are duplicates of an earlier one."]


def outliers(plan: Plan, outputs: Outputs) -> list[str]:
    limits = f"below {outputs.fact('Lower limit')} or above {outputs.fact('Upper limit')}"
    return [
        f"**{outputs.fact('Outliers')}** rows have outliers of {shown(human(plan.measures[0].name))}: {limits}.",
        numbered(outputs),
    ]


ANSWERS: dict[str, Callable[[Plan, Outputs], list[str]]] = {
    "aggregate": aggregate,
    "rows": rows,
    "profile": profile,
    "preview": preview,
    "shape": shape,
    "columns": columns,
    "missing": missing,
    "distinct": distinct,
    "histogram": figures,
    "box": figures,
    "scatter": relation,
    "correlation": relation,
    "stats": stats,
    "part": part,
    "duplicates": duplicates,
    "outliers": outliers,
}


# --- when it did not work --------------------------------------------------------------------------------------------

FAILURES = {
    "timeout": "The code ran out of time and was stopped.",
    "interrupted": "The code was stopped before it had finished.",
    "out_of_memory": "The code needed more memory than the kernel may use.",
    "disk_full": "The workspace is full; please delete files and ask again.",
    "kernel_died": "The kernel ended while the code ran. A new one will take its place; please ask again.",
    "protocol_error": "The kernel misbehaved and was ended; please ask again.",
    "cancelled": "The code did not run: it was cancelled.",
    "refused": "The operator's policy does not allow this code, so it did not run.",
}


def failure(outputs: Outputs) -> str:
    """Why there is no answer."""
    if outputs.status in FAILURES:
        return FAILURES[outputs.status]
    if outputs.error:
        return f"That did not work: `{clean(outputs.error, 300)}`. The notebook shows where."
    return "That did not work: the code ran, but not with the figures I need. The notebook shows what it printed."


def trying_again(outputs: Outputs) -> str:
    """What the second attempt is for."""
    why = (
        f"The first attempt failed with `{clean(outputs.error, 200)}`"
        if outputs.error
        else "The first attempt gave no usable figures"
    )
    return f"{why}. I read the file again, more carefully: any encoding and separator, and numbers written as text."


def pasted(outputs: Outputs) -> str:
    """What became of code the person pasted."""
    if not outputs.ok:
        return failure(outputs)
    printed = "\n".join(line for line in outputs.lines if line.strip())[:1500]
    said = f"It printed:\n\n```text\n{printed.replace('`' * 3, '')}\n```" if printed else "It printed nothing."
    return f"I ran your code. {said}" + ("\n\nIts figure is in the notebook." if outputs.pictures else "")
