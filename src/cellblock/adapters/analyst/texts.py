"""What the analyst says without computing anything: what it is, what it can do, what it needs to know. Pure."""

from collections.abc import Sequence

from cellblock.adapters.analyst.plan import Say, listing
from cellblock.adapters.analyst.schema import Column, DataFile
from cellblock.adapters.analyst.vocabulary import GREETINGS, HELP
from cellblock.adapters.analyst.words import clean, fold, tokenise

WHO = "I am Cellblock's built-in analyst, not a language model: I turn questions of set kinds into Python and run it."
CAN = """\
I can, for CSV, TSV, Excel, JSON, JSON lines and Parquet files:

- **describe** a file, show its first rows, find missing values, distinct values and duplicates
- **aggregate**: total, average, median, count, minimum and maximum of a column, by one or two others, or by year, quarter, \
month, week or day
- **chart**: bar, line, scatter, histogram, pie and box plots
- **rank and filter**: top or bottom N, “in the North”, “only 2023”, “above 100”, “between 5 and 10”
- **relate**: shares in percent, correlation

For example: “Describe this file”, “bar chart of revenue by region”, “top 5 products by revenue in 2023”. \
I also run Python that you paste in a ```python block."""
NO_KEY = "Anything beyond that needs a language model: set a provider's API key and choose a model."


def small_talk(question: str, files: Sequence[DataFile]) -> Say | None:
    """Greetings and questions about the analyst itself."""
    lows = [token.low for token in tokenise(question) if token.kind == "word"]
    sentence = " ".join(lows)
    if not lows:
        return Say(f"Please ask a question about your data.\n\n{CAN}") if not question else None
    if any(sentence == phrase or (sentence.startswith(phrase) and len(phrase) > 5) for phrase in HELP):
        return Say(f"{WHO}\n\n{CAN}\n\n{NO_KEY}")
    if len(lows) <= 4 and fold(lows[0]) in GREETINGS:
        if lows[0] in ("thanks", "thank", "bye", "goodbye"):
            return Say("You are welcome.")
        wish = "What would you like to know about your data?" if files else "Drop a file here to begin."
        return Say(f"Hello. {WHO} {wish}")
    return None


def no_file(files: Sequence[DataFile]) -> Say:
    if files:
        names = listing([f"`{clean(file.path)}`" for file in files[:8]])
        return Say(
            f"I find no table that I can read; there is {names}. Please add a CSV, TSV, Excel, JSON or Parquet file."
        )
    return Say(f"There is no file yet. Drop one into the chat, and ask again.\n\n{CAN}")


def which_file(tables: Sequence[DataFile]) -> Say:
    names = "\n".join(f"- `{clean(file.path)}`" for file in tables[:20])
    return Say(f"Which file do you mean?\n\n{names}", question=True)


def columns_of(file: DataFile, columns: Sequence[Column] | None = None) -> str:
    """The columns as a list for a reader, 40 at most."""
    chosen = file.columns if columns is None else columns
    names = ", ".join(f"`{clean(column.name, 60)}`" for column in chosen[:40])
    return names + (", …" if len(chosen) > 40 else "")


def no_column(file: DataFile, words: str) -> Say:
    return Say(
        f"I find no column for “{clean(words)}” in `{clean(file.path)}`. Which one do you mean?\n\n"
        f"Its columns are {columns_of(file)}.",
        question=True,
    )


def ambiguous(words: str, columns: Sequence[Column]) -> Say:
    names = listing([f"`{clean(column.name, 60)}`" for column in columns[:8]], "or")
    return Say(f"“{clean(words)}” may mean more than one column: {names}. Which one?", question=True)


def which_measure(file: DataFile, numbers: Sequence[Column]) -> Say:
    return Say(f"Which number do you mean? `{clean(file.path)}` has {columns_of(file, numbers)}.", question=True)


def which_group(file: DataFile) -> Say:
    return Say(f"By which column? `{clean(file.path)}` has {columns_of(file)}.", question=True)


def no_numbers(file: DataFile) -> Say:
    return Say(f"`{clean(file.path)}` has no number column for that. Its columns are {columns_of(file)}.")


def no_dates(file: DataFile, unit: str) -> Say:
    return Say(
        f"I find no date column in `{clean(file.path)}`, so I cannot group by {unit}. Its columns are {columns_of(file)}."
    )


def which_number(file: DataFile, words: str) -> Say:
    return Say(
        f"Which column should be “{clean(words)}”? `{clean(file.path)}` has {columns_of(file, file.numbers())}.",
        question=True,
    )


def no_value(file: DataFile, value: str) -> Say:
    return Say(
        f"I find no “{clean(value)}” among the values of `{clean(file.path)}`. Which value or column do you mean?",
        question=True,
    )


def refused(word: str) -> Say:
    return Say(f"I do not understand what “{clean(word, 40)}” refers to. Please put the question another way.")


def unsupported(word: str) -> Say:
    about = f"“{clean(word, 40)}” is beyond me." if word else "I did not understand that."
    return Say(f"{about} {WHO}\n\n{CAN}\n\n{NO_KEY}")
