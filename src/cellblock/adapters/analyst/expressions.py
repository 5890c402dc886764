"""Small pieces of code: expressions over `df`, formats of figures, names of variables, the frame of a chart. Pure."""

import keyword
import re

from cellblock.adapters.analyst.loading import column_of, literal
from cellblock.adapters.analyst.plan import Filter, Plan, capital, title
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.words import fold, human

FILTER_CODE = {
    "year": ".dt.year",
    "month": '.dt.strftime("%Y-%m")',
    "day": '.dt.strftime("%Y-%m-%d")',
    "month of year": ".dt.month",
    "quarter of year": ".dt.quarter",
    "weekday": ".dt.day_name()",
}


RESERVED = {"df", "pd", "plt", "np", "fig", "ax", "json", "re", "path", "data", "display", "print", "format"}


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


def axes(plan: Plan, body: list[str], *, x: str, y: str, suffix: str = "") -> list[str]:
    """A figure around drawing lines: title, labels, show."""
    return [
        "fig, ax = plt.subplots(figsize=(8, 4.5))",
        *body,
        f"ax.set_title({label_literal(title(plan) + suffix)})",
        f"ax.set_xlabel({label_literal(capital(x))})",
        f"ax.set_ylabel({label_literal(capital(y))})",
        "plt.tight_layout()",
        "plt.show()",
    ]


def label_literal(text: str) -> str:
    """A literal for matplotlib, to which dollar signs would be formulas."""
    return literal(text.replace("$", r"\$"))


def indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
