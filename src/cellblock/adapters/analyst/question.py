"""A question and the files into one Plan, or into words back: which column, which file, what can be done. Pure.

`interpret` reads the question against one file and fills the slots of a Spec; what a follow-up leaves open comes from
the plan before it; `decide` turns the slots into a Plan.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cellblock.adapters.analyst import roles, texts
from cellblock.adapters.analyst.columns import best_for
from cellblock.adapters.analyst.conditions import find_conditions
from cellblock.adapters.analyst.decide import decide
from cellblock.adapters.analyst.plan import Filter, Plan, Reply, RunCode, Say
from cellblock.adapters.analyst.reading import Reading, read
from cellblock.adapters.analyst.schema import Column, DataFile
from cellblock.adapters.analyst.spec import Spec
from cellblock.adapters.analyst.values import unknown_values
from cellblock.adapters.analyst.vocabulary import UNSUPPORTED
from cellblock.adapters.analyst.words import clean, fold, human, pieces, word_set

# Possessive: a long line of blanks must not be divided in all ways there are while everything waits.
FENCE = re.compile(r"```[ \t]*+(?:python|py|python3|ipython)?[ \t]*+\n(.*?)(?:```|\Z)", re.DOTALL)
THIS_FILE = re.compile(
    r"\b(this|the|my|that|uploaded|latest|newest)( \w+)?"
    r" (file|csv|tsv|data|dataset|data set|table|excel|sheet|json|parquet)\b"
)
TOO_MUCH = re.compile(
    r"\b(year|month|quarter|week|day)[ -]over[ -](year|month|quarter|week|day)\b"
    r"|\b(above|below|over|under|than)( the)? (average|mean|median)\b"
)
REFUSALS = word_set("not never haven't didn't hasn't doesn't don't isn't aren't weren't wasn't without")
"""Negations; one that no condition has used would turn the answer into its opposite."""
LONGEST_QUESTION = 600
REMEMBERED = 12
"""Earlier turns that a question may go on from."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of the conversation: what it asked, and the code that was run for it."""

    question: str
    code: str = ""


@dataclass(slots=True)
class Memory:
    """What earlier turns left: the plan they arrived at, and a question that was asked back."""

    plan: Plan | None = None
    open_question: str = ""
    files: list[str] = field(default_factory=list)


def answer_to(question: str, files: Sequence[DataFile], earlier: Sequence[Turn] = ()) -> Reply:
    """What to do about a question, given the earlier turns of its conversation."""
    memory = Memory()
    for turn in earlier[-REMEMBERED:]:
        remember(memory, turn, files)
    return interpret(question, files, memory)[0]


def remember(memory: Memory, turn: Turn, files: Sequence[DataFile]) -> None:
    """Replay one earlier turn: its plan follows from its words, its file from the code that was run."""
    used = [file for file in files if turn.code and repr_in(file.path, turn.code)]
    reply, asked = interpret(turn.question, used[:1] or files, memory)
    if isinstance(reply, Plan):
        memory.plan, memory.open_question = reply, ""
    elif isinstance(reply, Say) and reply.question:
        memory.open_question = asked


def repr_in(path: str, code: str) -> bool:
    return f'"{path}"' in code or repr(path) in code


def interpret(question: str, files: Sequence[DataFile], memory: Memory) -> tuple[Reply, str]:
    """The reply, and the question it answers: an open question of before and its answer are read together."""
    pasted = FENCE.search(question)
    if pasted and pasted[1].strip():
        return RunCode(pasted[1].strip("\n") + "\n"), question
    asked = question[:LONGEST_QUESTION].strip()
    if small_talk := texts.small_talk(asked, files):
        return small_talk, asked
    if memory.open_question:
        together = f"{memory.open_question} — {asked}"
        reply = against_files(together, files, memory, answer=asked)
        if isinstance(reply, Plan):
            return reply, together
    return against_files(asked, files, memory), asked


def against_files(question: str, files: Sequence[DataFile], memory: Memory, *, answer: str = "") -> Reply:
    """The reply for the file that is meant, or the question which one."""
    tables = [file for file in files if file.reader]
    if not tables:
        return texts.no_file(files)
    named, rest = named_file(question, tables)
    chosen = named or only(tables)
    if chosen:
        return against(rest, chosen, memory, answer)
    fitting = most_fitting(rest, tables)
    before = next((file for file in tables if memory.plan and file.path == memory.plan.file.path), None)
    if before and (before in fitting or not fitting):
        return against(rest, before, memory, answer)
    if len(fitting) == 1:
        return against(rest, fitting[0], memory, answer)
    if THIS_FILE.search(rest.casefold()):
        reply = against(rest, tables[0], memory, answer)
        newest = f"I took `{clean(tables[0].path)}`, the newest file."
        return replace(reply, note=newest) if isinstance(reply, Plan) else reply
    return texts.which_file(tables)


def only(tables: Sequence[DataFile]) -> DataFile | None:
    return tables[0] if len(tables) == 1 else None


def named_file(question: str, tables: Sequence[DataFile]) -> tuple[DataFile | None, str]:
    """The file whose name or stem the question holds, and the question without it."""
    folded = question.casefold()
    for name_of in (whole_name, base_name, stem):
        found = [
            file
            for file in tables
            if (name := name_of(file.path)) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", folded)
        ]
        if len(found) == 1:
            name = name_of(found[0].path)
            stays = name_of is stem and (len(tables) == 1 or any(name in pieces(c.name) for c in found[0].columns))
            if name_of is stem and len(tables) == 1:
                return found[0], question
            return found[0], question if stays else re.sub(
                rf"(?<!\w){re.escape(name)}(?!\w)", " ", question, flags=re.IGNORECASE
            )
    return None, question


def whole_name(path: str) -> str:
    return path.casefold()


def base_name(path: str) -> str:
    return path.rpartition("/")[2].casefold()


def stem(path: str) -> str:
    name = base_name(path).rpartition(".")[0]
    return name if len(name) > 2 else ""


def most_fitting(question: str, tables: Sequence[DataFile]) -> list[DataFile]:
    """The files whose columns and values know the most words of the question; [] when none knows any."""
    scores = []
    for file in tables:
        reading = read(question, file)
        strict = [m for m in reading.mentions if m.level <= 2]
        conditions = find_conditions(reading)
        scores.append(len(strict) * 3 + len(reading.mentions) + 2 * len(conditions.filters))
    best = max(scores, default=0)
    return [file for file, score in zip(tables, scores, strict=True) if score == best] if best else []


def against(question: str, file: DataFile, memory: Memory, answer: str) -> Reply:
    """The reply for one file."""
    if not file.columns:
        return unread(file)
    reading = read(question, file)
    spec = understand(reading, answer)
    before = memory.plan if memory.plan and memory.plan.file.path == file.path else None
    return decide(spec, replace(before, file=file) if before else None)


READABLE = ("not examined", "UnicodeDecodeError", "ParserError")
"""How errors begin that the careful loader may get over."""


def unread(file: DataFile) -> Reply:
    """A file the data context has no columns of: an overview by the careful loader, or why there is none."""
    if file.error and not file.error.startswith(READABLE):
        return Say(f"I cannot read `{clean(file.path)}`: {clean(file.error, 200)}.")
    if file.rows == 0:
        return Say(f"`{clean(file.path)}` is empty: there is nothing to analyse.")
    unseen = "I had not seen the file's columns before, so this is an overview. Please ask again for anything more."
    return Plan(file, "profile", careful=True, note=unseen)


def understand(reading: Reading, answer: str = "") -> Spec:
    """The slots a question fills."""
    spec = Spec(reading.file, reading.text)
    spec.unsupported = unsupported(reading)
    roles.numbers(reading, spec)
    conditions = find_conditions(reading)
    refuse(reading, spec)
    spec.filters, spec.having = list(conditions.filters), conditions.having
    spec.parts, spec.unclear, spec.both = list(conditions.parts), conditions.unclear, conditions.both
    roles.superlatives(reading, spec)
    roles.keywords(reading, spec)
    roles.columns(reading, spec)
    spec.filters += list(unknown(reading, spec))
    roles.leftovers(reading, spec)
    settle(spec, answer)
    return spec


def refuse(reading: Reading, spec: Spec) -> None:
    """`don't draw a chart` drops the chart; any other negation that no condition has used cannot be answered."""
    if {"vs", "versus", "or"} & {token.low for token in reading.tokens}:
        return
    for position, token in enumerate(reading.tokens):
        if token.low in REFUSALS and reading.free(position):
            near = [k for k in reading.keywords if position < k.start < position + 5 and k.meaning.slot == "chart"]
            spec.refused = "" if near else token.text
            spec.no_chart = spec.no_chart or bool(near)
            reading.keywords = [keyword for keyword in reading.keywords if keyword not in near]


def unsupported(reading: Reading) -> str:
    """The first words of the question that ask for something the analyst cannot do."""
    if odd := TOO_MUCH.search(reading.text.casefold()):
        return odd.group().strip()
    return next(
        (t.text for n, t in enumerate(reading.tokens) if t.low in UNSUPPORTED and not reading.mention_at(n)), ""
    )


def unknown(reading: Reading, spec: Spec) -> list[Filter]:
    """Values no sample shows, looked for in every text column that may hold more than its sample."""
    found = []
    for value in unknown_values(reading):
        columns = tuple(column for column in reading.file.of("text") if not column.all_values_known)
        if columns:
            found.append(Filter(columns, "mentions", (value,)))
        else:
            spec.no_such_value = value
    return found


def settle(spec: Spec, answer: str) -> None:
    """Let the answer to a question back choose between columns."""
    if not answer:
        return
    for mention in list(spec.ambiguous):
        chosen = chosen_of(fold(answer), mention.columns)
        if len(chosen) == 1:
            spec.resolve(mention, chosen[0])


def chosen_of(answer: str, columns: Sequence[Column]) -> list[Column]:
    """The columns an answer names: by their names, by some of their words, or as `the first one`."""
    exact = [column for column in columns if fold(column.name) in answer or fold(human(column.name)) in answer]
    if exact:
        return exact
    for word, place in (("first", 0), ("former", 0), ("second", 1), ("third", 2), ("latter", 1), ("last", -1)):
        if word in answer.split() and -1 <= place < len(columns):
            return [columns[place]]
    return [column for column in best_named(answer, columns) if column in columns]


def best_named(words: str, columns: Sequence[Column]) -> list[Column]:
    return best_for("|".join(pieces(words)) or words, columns)
