"""The code: readable for a plain question, and right however columns are named and whatever is in them."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from analyst_lab import execute, survey
from inline_snapshot import snapshot

from cellblock.adapters.analyst.answer import answer
from cellblock.adapters.analyst.code import write
from cellblock.adapters.analyst.outputs import parse
from cellblock.adapters.analyst.plan import Action, Filter, Group, Plan
from cellblock.adapters.analyst.question import answer_to
from cellblock.adapters.analyst.schema import DataFile

NASTY = [
    'a"b',
    "it's",
    "new\nline",
    "{x}",
    "back\\slash",
    "ünï cödé",
    "日本",
    "%s",
    "#",
    "df",
    "by",
    "rows",
    "import os",
    '"""',
    "a | b",
    "`code`",
    "{0:>9}",
    "month",
    "Highest: x with 1",
    "in the share",
    "$\\alpha$",
    "$a",
    "_under",
]


def table(folder: Path, group: str = "group", measure: str = "measure", other: str = "other") -> DataFile:
    """A parquet file (it keeps any name) with a text, two number and a date column."""
    count = 24
    frame = pd.DataFrame(
        {
            group: ["x", "y", "z"] * (count // 3),
            measure: [float(n) for n in range(count)],
            other: [n % 5 for n in range(count)],
            "when it was": pd.date_range("2024-01-01", periods=count, freq="17D"),
        }
    )
    frame.to_parquet(folder / "t.parquet", index=False)
    return survey(folder, ["t.parquet"])[0]


def plans(file: DataFile) -> list[Plan]:
    """One plan of each kind over the columns of `table`."""
    group, measure, other, date = file.columns
    base = Plan(file, "aggregate", (measure,), ("sum",), (Group(group),))
    found = [
        base,
        replace(base, chart="bar", share=True),
        replace(base, chart="pie"),
        replace(base, chart="barh", top=2),
    ]
    found += [
        replace(base, groups=(Group(date, unit),), chart="line")
        for unit in ("year", "quarter", "month", "week", "day", "hour", "weekday")
    ]
    found += [
        replace(base, groups=(Group(group), Group(date, "year")), chart=chart) for chart in ("bar", "line", "stacked")
    ]
    found += [
        replace(base, measures=(measure, other), chart="bar"),
        replace(base, aggregates=("mean", "p95"), chart="bar"),
    ]
    found += [replace(base, measures=(measure, other), aggregates=("mean", "max")), replace(base, groups=())]
    found += [replace(base, measures=(), aggregates=("count",), chart="bar")]
    found += [replace(base, having=Filter((measure,), ">", (90,)))]
    parts = (Filter((group,), "==", ("x",)),)
    found += [
        Plan(file, "part", (measure,), ("sum",), parts=parts),
        Plan(file, "part", parts=parts, groups=(Group(group),)),
    ]
    found += [Plan(file, "part", (measure,), parts=parts, groups=(Group(date, "year"),), chart="bar")]
    simple: tuple[Action, ...] = ("profile", "preview", "shape", "columns", "missing", "duplicates")
    found += [Plan(file, action) for action in simple]
    single: tuple[Action, ...] = ("histogram", "box", "stats", "distinct", "outliers", "rows")
    found += [Plan(file, action, (measure,)) for action in single]
    found += [Plan(file, action, (measure,), groups=(Group(group),)) for action in ("histogram", "box", "stats")]  # type: ignore[arg-type]
    found += [
        Plan(file, action, (measure, other), groups=groups, chart="scatter")  # type: ignore[arg-type]
        for action in ("scatter", "correlation")
        for groups in ((), (Group(group),))
    ]
    conditions = [
        ("==", ("x",)),
        ("!=", ("x",)),
        ("in", ("x", "y")),
        ("contains", ("X",)),
        ("starts", ("x",)),
        ("filled", ()),
    ]
    found += [replace(base, filters=(Filter((group,), operator, values),)) for operator, values in conditions]
    found += [replace(base, filters=(Filter((group,), "mentions", ("X (",)),))]
    timed = [
        ("year", 2024),
        ("month", "2024-03"),
        ("day", "2024-03-09"),
        ("month of year", 3),
        ("quarter of year", 1),
        ("weekday", "Monday"),
    ]
    found += [
        replace(
            base, filters=(Filter((date,), ">=" if isinstance(value, str) and "-" in value else "==", (value,), unit),)
        )
        for unit, value in timed
    ]
    return found


@pytest.mark.parametrize("name", NASTY)
def test_any_name_of_a_column_is_only_data(tmp_path: Path, name: str) -> None:
    file = table(tmp_path, group=name, measure=name + "2")
    for number, plan in enumerate(plans(file)):
        if number % 12 == NASTY.index(name) % 12:
            output, _ = execute(write(plan), tmp_path)
            assert output.startswith("status: ok"), f"{output[-900:]}\n{write(plan)}"


def test_every_kind_of_plan_runs(tmp_path: Path) -> None:
    file = table(tmp_path)
    for plan in plans(file):
        output, figures = execute(write(replace(plan, careful=True)), tmp_path)
        assert output.startswith("status: ok"), f"{output}\n{write(plan)}"
        assert bool(plan.chart) <= bool(figures)


def test_conditions_that_nothing_meets_say_so(tmp_path: Path) -> None:
    file = table(tmp_path)
    nothing = Filter((file.columns[0],), "==", ("none",))
    for plan in plans(file):
        if plan.action in ("aggregate", "rows", "part", "stats", "distinct"):
            output, _ = execute(write(replace(plan, filters=(nothing,), chart="")), tmp_path)
            assert "Rows that match: 0" in output, f"{output}\n{write(plan)}"
            assert answer(plan, parse(output)).startswith("No rows match")


def test_a_plain_question_gets_code_a_person_would_write(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("region,revenue\n" + "North,10.5\nSouth,7\n" * 9)
    plan = answer_to("bar chart of revenue by region", survey(tmp_path, ["sales.csv"]))
    assert isinstance(plan, Plan)
    assert write(plan) == snapshot("""\
import matplotlib.pyplot as plt
import pandas as pd

pd.options.display.float_format = "{:,.2f}".format

df = pd.read_csv("sales.csv")

print("Total revenue by region")
revenue_by_region = df.groupby("region")["revenue"].sum().sort_values(ascending=False)
display(revenue_by_region.to_frame("Total revenue"))
print("Highest:", revenue_by_region.idxmax(), "with", f"{revenue_by_region.max():,.2f}")
print("Lowest:", revenue_by_region.idxmin(), "with", f"{revenue_by_region.min():,.2f}")
print("Total:", f"{revenue_by_region.sum():,.2f}")

fig, ax = plt.subplots(figsize=(8, 4.5))
ax.bar(revenue_by_region.index.astype(str), revenue_by_region)
ax.set_title("Total revenue by region")
ax.set_xlabel("Region")
ax.set_ylabel("Total revenue")
plt.tight_layout()
plt.show()
""")


def test_dirty_numbers_and_dates_are_cleaned_where_they_are_used(tmp_path: Path) -> None:
    text = "Datum;Ort;Umsatz\n" + "13.01.2024;Köln;1.234,50 €\n02.02.2024;Bonn;7,00 €\n" * 3
    (tmp_path / "umsatz.csv").write_bytes(text.encode("cp1252"))
    plan = answer_to("total Umsatz per month", survey(tmp_path, ["umsatz.csv"]))
    assert isinstance(plan, Plan)
    assert write(plan) == snapshot("""\
import matplotlib.pyplot as plt
import pandas as pd

pd.options.display.float_format = "{:,.2f}".format

df = pd.read_csv("umsatz.csv", sep=";", encoding="cp1252")
# "1.234,50 €" is text: keep its digits
digits = df["Umsatz"].astype(str).str.replace(r"[^\\d,\\-]", "", regex=True).str.replace(",", ".")
df["Umsatz"] = pd.to_numeric(digits, errors="coerce")
df["Datum"] = pd.to_datetime(df["Datum"], format="%d.%m.%Y")

print("Total Umsatz by month")
df["month"] = df["Datum"].dt.strftime("%Y-%m")
umsatz_by_month = df.groupby("month")["Umsatz"].sum()
display(umsatz_by_month.to_frame("Total Umsatz").head(30))
print("Highest:", umsatz_by_month.idxmax(), "with", f"{umsatz_by_month.max():,.2f}")
print("Lowest:", umsatz_by_month.idxmin(), "with", f"{umsatz_by_month.min():,.2f}")
print("Groups:", f"{len(umsatz_by_month):,}")
print("Total:", f"{umsatz_by_month.sum():,.2f}")

fig, ax = plt.subplots(figsize=(8, 4.5))
ax.plot(umsatz_by_month.index.astype(str), umsatz_by_month, marker="o")
fig.autofmt_xdate()
ax.xaxis.set_major_locator(plt.MaxNLocator(12, integer=True))
ax.set_title("Total Umsatz by month")
ax.set_xlabel("Month")
ax.set_ylabel("Total Umsatz")
plt.tight_layout()
plt.show()
""")
    output, _ = execute(write(plan), tmp_path)
    assert parse(output).tables[0].rows == (("2024-01", "3,703.50"), ("2024-02", "21.00"))
