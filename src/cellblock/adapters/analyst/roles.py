"""What the words of a question do: columns become measures and groups, keywords fill their slots. Pure."""

import re

from cellblock.adapters.analyst.columns import Mention, best_for
from cellblock.adapters.analyst.reading import CONNECTORS, DISTRIBUTIVE, GROUPERS, Keyword, Reading
from cellblock.adapters.analyst.schema import Column
from cellblock.adapters.analyst.spec import Spec
from cellblock.adapters.analyst.vocabulary import EXTREMES, GENERIC, HARMLESS, MONEY, VERBS
from cellblock.adapters.analyst.words import stems, word_set

SKIPPED = word_set("the a an its their our different various all respective of individual")
CUES = word_set("and now also then instead but ok okay same")
CUE_PAIRS = {
    ("what", "about"),
    ("how", "about"),
    ("make", "it"),
    ("make", "that"),
    ("and", "for"),
    ("only", "for"),
    ("just", "for"),
    ("turn", "it"),
    ("turn", "that"),
    ("show", "it"),
    ("do", "it"),
    ("change", "it"),
    ("change", "to"),
    ("switch", "to"),
    ("the", "same"),
    ("do", "the"),
    ("can", "you"),
    ("sort", "it"),
    ("as", "a"),
    ("plot", "it"),
    ("plot", "that"),
    ("show", "that"),
    ("sort", "them"),
    ("limit", "to"),
}
LEADS = word_set("top bottom best worst highest lowest largest smallest biggest first last")
WANTS_FOLLOWUP = word_set("it that this them those instead same again")


def numbers(reading: Reading, spec: Spec) -> None:
    """`top 5`, `5 highest`, `first 10 rows`, `last three`, `20 bins`."""
    for position, token in enumerate(reading.tokens):
        count = token.number
        if (
            count is None
            or token.kind not in ("number", "word")
            or not 0 < count < 100_000
            or not float(count).is_integer()
        ):
            continue
        before, after = reading.low(position - 1), reading.low(position + 1)
        if after in ("bins", "bin", "buckets"):
            spec.bins = int(count)
            reading.claim([position], "bins")
        elif percentile(reading, position):
            spec.aggregates.append(f"p{int(count)}")
        elif before in LEADS or before in EXTREMES:
            take(reading, spec, position, before)
        elif is_extreme(reading, position + 1) or after in ("most", "least") or asked_for(reading, position):
            spec.top = int(count)
            reading.claim([position], "top")
        elif (
            after in ("random", "sample", "example", "rows", "records")
            and reading.free(position)
            and before in ("me", "show", "the", "a", "display", "print", "get", "list", "give", "preview", "of")
        ):
            spec.top = int(count)
            spec.acts.append("preview")
            reading.claim([position], "top")


PERCENTILES = {"percentile", "percentiles", "quantile", "pctl"}


def percentile(reading: Reading, position: int) -> bool:
    """`95th percentile`, `percentile 95`: claims its words."""
    end = position + 1 + (reading.low(position + 1) in ("th", "st", "nd", "rd"))
    if not 0 < (reading.tokens[position].number or 0) < 100:
        return False
    span = range(position, end + 1) if reading.low(end) in PERCENTILES else range(position - 1, position + 1)
    if not PERCENTILES & {reading.low(n) for n in span}:
        return False
    reading.keywords = [keyword for keyword in reading.keywords if keyword.start not in span]
    reading.claim(span, "aggregate")
    return True


def asked_for(reading: Reading, position: int) -> bool:
    """`which 3 customers bought the most`."""
    ranked = any(k.meaning.slot == "extreme" for k in reading.keywords) or any(
        t.low in EXTREMES for t in reading.tokens
    )
    return (
        reading.low(position - 1) in ("which", "what", "the")
        and ranked
        and reading.mention_at(position + 1) is not None
    )


def take(reading: Reading, spec: Spec, position: int, before: str) -> None:
    """`top 5` and its like; `first` and `last` mean rows of the file."""
    spec.top = int(reading.tokens[position].number or 0)
    if before in ("first", "last"):
        spec.acts.append("preview")
        spec.last = before == "last"
    reading.claim([position], "top")


def is_extreme(reading: Reading, position: int) -> bool:
    keyword = reading.keyword_at(position)
    return (keyword is not None and keyword.meaning.slot in ("extreme", "top", "frequent")) or reading.low(
        position
    ) in EXTREMES


def superlatives(reading: Reading, spec: Spec) -> None:
    """`most expensive`, `oldest`: a direction and the column it is about, when there is one."""
    for position, token in enumerate(reading.tokens):
        known = EXTREMES.get(token.low)
        if not known or reading.mention_at(position):
            continue
        columns = best_for(known[1], [c for c in reading.file.columns if c.kind in ("number", "date")])
        if not columns:
            continue
        columns = meant(reading, by_extreme(columns, known[0]))
        lead = reading.low(position - 1)
        spec.extreme = "low" if lead == "least" else known[0]
        spec.singular_extreme = spec.top is None
        if len(columns) > 1 and not any(column in m.columns for m in reading.mentions for column in columns):
            spec.ambiguous.append(Mention(position, position + 1, tuple(columns), 9, token.text))
        elif columns[0].kind == "date" or not any(m.column in columns and not m.ambiguous for m in reading.mentions):
            spec.sort_columns.append(columns[0])
        reading.keywords = [k for k in reading.keywords if not (k.start == position - 1 and lead in ("most", "least"))]
        reading.claim([position], "extreme")


def meant(reading: Reading, columns: list[Column]) -> list[Column]:
    """Of several lengths the one a mention beside speaks of: `the longest petals`; the mention is settled with it."""
    for mention in [m for m in reading.mentions if m.ambiguous]:
        common = [column for column in columns if column in mention.columns]
        if len(common) == 1:
            settled = Mention(mention.start, mention.end, (common[0],), mention.level, mention.words)
            reading.mentions[reading.mentions.index(mention)] = settled
            return common
    return columns


def number_of(reading: Reading, keyword: Keyword) -> bool:
    """The `number of` in `average number of units`: it counts nothing, the units are the number."""
    before = reading.keyword_at(keyword.start - 1)
    after = reading.mention_at(keyword.end)
    counts = keyword.meaning == ("aggregate", "count") and before is not None and before.meaning.slot == "aggregate"
    return counts and after is not None and after.column.kind == "number" and not after.column.identifier


def by_extreme(columns: list[Column], direction: str) -> list[Column]:
    """Of `temp_max` and `temp_min` the one the hottest, or the coldest, is about."""
    word = "max" if direction == "high" else "min"
    return [column for column in columns if word in stems(column.name)] or columns


def keywords(reading: Reading, spec: Spec) -> None:
    """The slots the keywords fill."""
    for position, token in enumerate(reading.tokens):
        if reading.free(position) and re.fullmatch(r"p[1-9]\d", token.low):
            spec.aggregates.append(token.low)
            reading.claim([position], "aggregate")
    for keyword in reading.keywords:
        if not number_of(reading, keyword):
            fill(reading, spec, keyword)
    spec.versus = any(token.low in ("vs", "versus", "against") for token in reading.tokens)
    spec.cue = has_cue(reading)
    spec.soft = [mention.column for mention in reading.soft if mention.column.kind == "number"]


def fill(reading: Reading, spec: Spec, keyword: Keyword) -> None:
    """One keyword's slot."""
    slot, value = keyword.meaning
    match slot:
        case "chart":
            fill_chart(spec, value)
        case "aggregate":
            wanted = ("min", "max") if value == "range" else (value,)
            spec.aggregates += [one for one in wanted if one not in spec.aggregates]
        case "extreme" | "top":
            fill_extreme(reading, spec, keyword)
        case "unit":
            spec.unit, spec.group_marked = value, True
            before = reading.keyword_at(keyword.start - 1)
            averaged = before is not None and before.meaning == ("aggregate", "mean")
            spec.per_group = spec.per_group or (averaged and reading.low(keyword.start).endswith("ly"))
        case "unitword":
            unit_word(reading, spec, keyword)
        case "order":
            spec.order = value  # type: ignore[assignment]  # the vocabulary's values are the orders
        case "act":
            spec.acts.append(value)
        case "frequent":
            spec.frequent = value
        case _:
            flag(spec, slot, value)


def flag(spec: Spec, slot: str, value: str) -> None:
    """The slots that are said or not."""
    if slot == "detail":
        spec.group_marked, spec.detail = True, value == "yes"
    elif slot in ("trend", "sort", "share", "rows", "compare", "reset"):
        setattr(spec, slot, True)


def fill_chart(spec: Spec, value: str) -> None:
    if value == "none":
        spec.no_chart = True
    elif value != "auto" or not spec.chart:
        spec.chart = value


def fill_extreme(reading: Reading, spec: Spec, keyword: Keyword) -> None:
    """`top 5`, `top products`, `the highest`; `most of` and `at most` are nothing of the kind."""
    spec.extreme = spec.extreme or keyword.meaning.value
    if keyword.meaning.slot == "top" and spec.top is None:
        spec.default_top = True
    spec.singular_extreme = spec.top is None


def unit_word(reading: Reading, spec: Spec, keyword: Keyword) -> None:
    """`which month`, `region and month`, `top 3 years`: a bare unit is a grouping only in such places."""
    lead = reading.low(reading.before(keyword.start))
    listed = lead in CONNECTORS and (
        reading.roles[max(0, reading.before(keyword.start) - 1)] == "column" or spec.group_marked
    )
    after = reading.low(keyword.end) in CONNECTORS and lead in GROUPERS
    if (
        lead in ("which", "what")
        or lead in LEADS
        or reading.roles[max(0, reading.before(keyword.start))] == "frequent"
        or (lead in EXTREMES and keyword.meaning.value != "day")
        or lead in GROUPERS
        or listed
        or after
        or is_count(reading, keyword.start - 1)
    ):
        spec.unit, spec.group_marked = keyword.meaning.value, True
        spec.entity = spec.entity or lead in ("which", "what")


def is_count(reading: Reading, position: int) -> bool:
    return 0 <= position < len(reading.roles) and reading.roles[position] == "top"


def has_cue(reading: Reading) -> bool:
    lows = [token.low for token in reading.tokens if token.kind != "symbol"]
    pair = tuple(lows[:2])
    return bool(lows) and (
        lows[0] in CUES
        or pair in CUE_PAIRS - {("can", "you"), ("do", "the")}
        or (len(lows) < 9 and bool(WANTS_FOLLOWUP & set(lows)))
    )


# --- columns ---------------------------------------------------------------------------------------------------------


def columns(reading: Reading, spec: Spec) -> None:
    """Every mention that no condition used becomes a measure, a group or what to sort by."""
    previous: tuple[Mention, str] | None = None
    for mention in reading.mentions:
        role = role_of(reading, spec, mention, previous)
        previous = (mention, role)
        if mention.ambiguous:
            mention = narrow(spec, mention, role)
        said_by_name(spec, mention)
        if mention.ambiguous:
            spec.ambiguous.append(mention)
        else:
            place(spec, mention.column, role)
    if not spec.measures and not spec.sort_columns:
        verbs(reading, spec)


def place(spec: Spec, column: Column, role: str) -> None:
    listed = {"group": spec.groups, "plain": spec.groups, "sort": spec.sort_columns, "date": spec.dates}.get(
        role, spec.measures
    )
    if column not in listed:
        listed.append(column)
    if role == "group":
        spec.group_marked = True


def said_by_name(spec: Spec, mention: Mention) -> None:
    """`maximum temperature` for a column `temp_max` asks for the maximum too."""
    first = mention.words.split()[0].casefold()
    aggregate = {"maximum": "max", "max": "max", "minimum": "min", "min": "min"}.get(first)
    if mention.level == 1 and aggregate and not spec.aggregates and stems(mention.column.name)[0] != aggregate:
        spec.aggregates.append(aggregate)


def narrow(spec: Spec, mention: Mention, role: str) -> Mention:
    """Keep of an ambiguous mention the columns that fit its role, when that leaves one."""
    wanted = ("number",) if role in ("measure", "sort") else ("text", "bool", "date")
    fitting = [c for c in mention.columns if c.kind in wanted and not (role == "measure" and c.identifier)]
    if spec.extreme and not spec.aggregates and len(by_extreme(fitting, spec.extreme)) == 1:
        fitting = by_extreme(fitting, spec.extreme)
    called = [c for c in mention.columns if stems(c.name) == (*stems(mention.words), "name")]
    if called:
        fitting = called
    named = [c for c in fitting if c in spec.measures or c in spec.groups]
    pick = named if len(named) == 1 else fitting
    if len(pick) == 1 or (len(mention.columns) > 1 and not pick):
        chosen = tuple(pick[:1]) or mention.columns
        return Mention(mention.start, mention.end, chosen, mention.level, mention.words)
    return mention


def role_of(reading: Reading, spec: Spec, mention: Mention, previous: tuple[Mention, str] | None) -> str:
    """`group`, `measure` or `sort`, by the word before the mention, by its list, and last by the column's kind."""
    lead = reading.before(mention.start, SKIPPED)
    keyword = reading.keyword_at(lead)
    low = reading.low(lead)
    number = mention.column.kind == "number"
    between = reading.words(lead, mention.start - lead)
    if keyword and keyword.meaning == ("sort", "by"):
        return "sort"
    if low in GROUPERS or (keyword and keyword.meaning.slot in ("detail", "unit") and low in GROUPERS | {"by"}):
        return by_role(spec, mention, low)
    if keyword and keyword.meaning == ("detail", "yes"):
        return "group"
    if low in CONNECTORS and previous and previous[0].end in (lead, lead - 1):
        return continued(mention, previous[1])
    if is_count(reading, lead) or low in ("top", "bottom"):
        spec.entity = True
        return "measure" if number and not mention.column.identifier and spec.unit else "group"
    if low in ("which", "what") and not number:
        spec.entity = True
        return "group"
    if DISTRIBUTIVE & set(between) or reading.low(mention.end) == "wise":
        return "group"
    if mention.column.kind == "date":
        return "date"
    return "measure" if number else "plain"


def by_role(spec: Spec, mention: Mention, low: str) -> str:
    """After `by`: a group; but `top 5 products by revenue` ranks by revenue."""
    ranks = spec.extreme or spec.default_top or spec.top or spec.sort
    if (
        mention.column.kind == "number"
        and low == "by"
        and ranks
        and not spec.measures
        and not named_like_group(mention.column)
    ):
        return "sort"
    return "group"


def named_like_group(column: Column) -> bool:
    return bool(best_for("year|month|day|quarter|hour|class", [column])) and column.kind == "number" and column.whole


def continued(mention: Mention, role: str) -> str:
    """The next of a list does what the one before does, unless it cannot: `by region and units sold`."""
    if role in ("group", "date") and mention.column.kind == "number" and not mention.column.whole:
        return "measure"
    if role == "measure" and mention.column.kind not in ("number",):
        return "plain" if mention.column.kind != "date" else "date"
    return role


def verbs(reading: Reading, spec: Spec) -> None:
    """`who earns the most`: the verb names the column."""
    numbers = [column for column in reading.file.of("number") if not column.identifier]
    for position, token in enumerate(reading.tokens):
        hint = VERBS.get(token.low) or (MONEY if token.low == "value" and reading.low(position - 1) in GENERIC else "")
        if (
            not hint
            or not reading.free(position)
            or ("count" in spec.aggregates and not spec.extreme and token.low != "sold")
        ):
            continue
        known = best_for(hint, numbers)
        if known:
            spec.measures.append(known[0])
            reading.claim([position], "verb")
            return


# --- what nobody understood ------------------------------------------------------------------------------------------


def leftovers(reading: Reading, spec: Spec) -> None:
    """Words in the place of a group or a measure that name no column, and the rest."""
    for position in reading.left_over():
        token = reading.tokens[position]
        lead = reading.low(reading.before(position, SKIPPED))
        spec.left.append(token.text)
        ranked = spec.top or spec.default_top or spec.extreme or spec.sort
        if lead == "by" and token.low in GENERIC and ranked:
            spec.aggregates.append("count")
        elif lead in GROUPERS and token.low not in ("category", "row"):
            spec.unknown_group = spec.unknown_group or token.text
        elif token.low in GENERIC or token.low in HARMLESS:
            continue
        elif lead in ("in", "for", "from", "at", "during"):
            spec.no_such_value = spec.no_such_value or token.text
        elif counted(reading, position):
            spec.unknown_counted = token.text
        elif not spec.unknown_measure and lead != "with":
            spec.unknown_measure = token.text


def counted(reading: Reading, position: int) -> bool:
    """Whether a word stands right after `how many` or `number of`."""
    keyword = reading.keyword_at(position - 1)
    return keyword is not None and keyword.meaning == ("aggregate", "count")
