"""Follow-ups: a question that leaves slots open takes them from the plan before it. Pure."""

import re
from dataclasses import replace

from cellblock.adapters.analyst import texts
from cellblock.adapters.analyst.plan import Filter, Group, Order, Plan, Reply
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.spec import Spec

ADDS = re.compile(r"\b(also by|as well|too|additionally|in addition|further)\b")
COUNTS = re.compile(r"\b(there|these|those|them|that)\b|^(and )?how many\W*$")
CHARTS = frozenset({"bar", "barh", "stacked", "line", "pie"})


def continues(spec: Spec) -> bool:
    """Whether a question cannot stand alone, and so goes on from the one before."""
    if any(
        act in ("profile", "preview", "shape", "columns", "missing", "correlation", "duplicates") for act in spec.acts
    ):
        return False
    if spec.rows and spec.filters:
        return spec.cue and not spec.measures
    if spec.chart in ("scatter", "histogram", "box") and numbers(spec):
        return False
    if spec.measures or spec.sort_columns:
        return only_measure(spec)
    if spec.aggregates == ["count"] and not spec.groups:
        return spec.cue or bool(COUNTS.search(spec.text.casefold()) and not spec.filters)
    if spec.aggregates == ["count"]:
        return False
    if "distinct" in spec.acts or spec.frequent:
        return False
    if spec.unknown_measure and not spec.cue and not spec.filters:
        return False
    return not spec.silent


def numbers(spec: Spec) -> list[Column]:
    return [column for column in spec.measures if column.kind == "number"]


def only_measure(spec: Spec) -> bool:
    """`what about the cost?`, `sort by units`: a column and nothing that makes it a question of its own."""
    bare = not (spec.groups or spec.unit or spec.trend or spec.extreme or spec.share)
    return (spec.cue and bare) or (spec.sort and bare and not spec.aggregates)


def changed(spec: Spec, before: Plan) -> Reply:
    """The plan before with what this question changes."""
    if spec.ambiguous:
        return texts.ambiguous(spec.ambiguous[0].words, spec.ambiguous[0].columns)
    if spec.unknown_group or (
        spec.unknown_measure and not (spec.filters or spec.groups or spec.chart or spec.unit or spec.order)
    ):
        return texts.no_column(spec.file, spec.unknown_group or spec.unknown_measure)
    if spec.no_such_value:
        return texts.no_value(spec.file, spec.no_such_value)
    if spec.unclear.isdigit() and before.top:  # `make that 3`
        spec.top, spec.extreme = int(spec.unclear), spec.extreme or ("low" if before.order == "asc" else "high")
    elif spec.unclear:
        return texts.which_number(spec.file, spec.unclear)
    plan = replace(before, overview=False, note="", careful=False, having=spec.having or before.having)
    for change in (conditions, measure, grouping, ranking, chart):
        plan = change(spec, plan)
    return plan


def conditions(spec: Spec, plan: Plan) -> Plan:
    """A new condition replaces the one on the same column and unit; the others stay."""
    if spec.reset:
        plan = replace(plan, filters=())
    kept = [old for old in plan.filters if not any(same_place(old, new) for new in spec.filters)]
    return replace(plan, filters=(*kept, *spec.filters))


def same_place(a: Filter, b: Filter) -> bool:
    return bool(set(a.columns) & set(b.columns)) and (
        a.unit == b.unit or {a.unit, b.unit} <= {"year", "month", "day", "quarter of year"}
    )


def measure(spec: Spec, plan: Plan) -> Plan:
    named = numbers(spec) or [
        column for column in spec.sort_columns if column.kind == "number" and plan.action == "rows"
    ]
    aggregates = tuple(spec.aggregates)
    if named and plan.action == "aggregate" and not aggregates and plan.counting:
        aggregates = ("sum",)
    if aggregates == ("count",) and not named and plan.action in ("rows", "preview"):
        plan = replace(plan, action="aggregate", measures=(), top=None, order="", chart="")
    plan = replace(plan, aggregates=aggregates or plan.aggregates)
    if named and plan.action not in ("correlation", "scatter"):
        plan = replace(plan, measures=tuple(named))
    if aggregates and aggregates != ("count",) and plan.action in ("histogram", "box", "stats", "part"):
        plan = replace(plan, action="aggregate")
    return replace(plan, share=True) if spec.share and plan.action == "aggregate" else plan


def grouping(spec: Spec, plan: Plan) -> Plan:
    """`by month` replaces the grouping; `broken down by` and `also by` add one."""
    groups = groups_of(spec, plan)
    if not groups:
        return plan
    if plan.action in (
        "profile",
        "preview",
        "shape",
        "columns",
        "rows",
        "distinct",
        "missing",
        "correlation",
        "part",
        "outliers",
    ):
        counting = not plan.measures or plan.action in ("distinct", "missing")
        aggregates = ("count",) if counting else ("sum",)
        plan = replace(
            plan,
            action="aggregate",
            measures=() if counting else plan.measures[:1],
            aggregates=aggregates,
            top=None,
            order="",
        )
    if spec.detail or ADDS.search(spec.text.casefold()):
        groups = [*plan.groups, *groups][-2:]
    freed = [] if spec.filters else [group.column for group in groups]
    filters = tuple(f for f in plan.filters if not (f.operator == "==" and f.columns[0] in freed and not f.unit))
    limit = plan.top if not any(group.unit for group in groups) else None
    order: Order = "" if any(group.unit for group in groups) and not spec.order else plan.order
    return replace(
        plan, groups=tuple(groups), filters=filters, top=limit, order=order, chart=suited(spec, plan, groups)
    )


def groups_of(spec: Spec, plan: Plan) -> list[Group]:
    """The groups this question names; a bare unit means the date column."""
    found = [Group(column, (spec.unit or "month") if column.kind == "date" else "") for column in spec.groups]
    if (spec.unit or spec.trend) and not any(group.unit for group in found):
        dates = [group.column for group in plan.groups if group.unit] + spec.file.of("date")
        named = [column for column in spec.file.columns if spec.unit and spec.unit in column.name.casefold()]
        if dates or named:
            column = (dates or named)[0]
            found.append(Group(column, (spec.unit or "month") if column.kind == "date" else ""))
    return found


def suited(spec: Spec, plan: Plan, groups: list[Group]) -> str:
    """Over time a line, over categories bars, when the question does not say."""
    if spec.chart not in ("", "auto") or spec.no_chart:
        return plan.chart
    timed = bool(groups and groups[0].unit not in ("", "weekday"))
    if timed and plan.chart in ("", "bar", "pie"):
        return "line"
    if not timed and plan.chart in ("line", ""):
        return "bar"
    return plan.chart


def ranking(spec: Spec, plan: Plan) -> Plan:
    """`top 3`, `sorted ascending`, `which is the lowest`."""
    if spec.top or spec.default_top:
        order: Order = "asc" if spec.extreme == "low" else "desc"
        return replace(plan, top=spec.top or 5, order=order)
    if spec.extreme:
        return replace(plan, order="asc" if spec.extreme == "low" else "desc")
    if spec.order:
        return replace(plan, order=spec.order)
    if spec.sort and plan.groups and spec.groups and spec.groups[0] == plan.groups[0].column:
        return replace(plan, order="key")
    return replace(plan, order="desc") if spec.sort and not spec.order else plan


def chart(spec: Spec, plan: Plan) -> Plan:
    """Another chart of the same numbers; `as a table` drops it."""
    if spec.no_chart:
        return replace(plan, chart="")
    if spec.bins and plan.action == "histogram":
        return replace(plan, bins=spec.bins)
    if spec.chart == "auto":
        timed = bool(plan.groups and plan.groups[0].unit)
        return replace(plan, chart=plan.chart or ("line" if timed else "bar"))
    if not spec.chart:
        return plan
    if spec.chart in ("box", "histogram") and plan.measures:
        return replace(plan, action=spec.chart, chart=spec.chart, top=None, share=False)  # type: ignore[arg-type]
    if spec.chart in CHARTS and plan.action in ("box", "histogram", "stats") and plan.groups:
        return replace(plan, action="aggregate", aggregates=("mean",), chart=spec.chart)
    return replace(plan, chart=spec.chart)
