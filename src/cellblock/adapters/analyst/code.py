"""A Plan as readable pandas and matplotlib code, the kind a careful analyst writes. Pure.

The code prints what the answer will quote: a heading, `Label: value` lines, and tables shown with `display`. Names and
values of files are literals in it, so that no column name can become code.
"""

from cellblock.adapters.analyst.aggregation import aggregate, part
from cellblock.adapters.analyst.bodies import (
    box,
    columns_only,
    correlation,
    distinct,
    duplicates,
    histogram,
    missing,
    outliers,
    preview,
    profile,
    rows,
    scatter,
    shape,
    stats,
)
from cellblock.adapters.analyst.expressions import condition, decimals
from cellblock.adapters.analyst.loading import literal, loading
from cellblock.adapters.analyst.plan import Plan, title


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


def filtering(plan: Plan) -> list[str]:
    if not plan.filters:
        return []
    lines = [f"df = df[{condition(one, plan)}]" for one in plan.filters]
    return [*lines, 'print("Rows that match:", f"{len(df):,}")', ""]


def overview(plan: Plan) -> list[str]:
    """Two figures about the whole file, for `analyse this and …`."""
    if not plan.overview:
        return []
    return [] if plan.filters else ['print("Rows:", f"{len(df):,}")', 'print("Columns:", df.shape[1])']


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
