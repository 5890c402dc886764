"""The data context as values: files and columns, and what kind of column each is. Pure; file content is only data."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cellblock.adapters.analyst.vocabulary import MEAN_WORDS, SUM_WORDS
from cellblock.adapters.analyst.words import fold, pieces, stems

Kind = Literal["number", "text", "date", "bool"]
Style = Literal["", "us", "eu"]
TABLES = {
    "csv": "csv",
    "tsv": "csv",
    "tab": "csv",
    "txt": "csv",
    "xlsx": "excel",
    "xls": "excel",
    "xlsm": "excel",
    "excel": "excel",
    "json": "json",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
    "pq": "parquet",
}
"""Kinds and endings of files that hold a table, and the reader each one needs."""

MARK = r"(?:[€$£¥₹%]|EUR|USD|GBP|CHF|Rs\.?|kg|km|cm|mm|ms|g|h|s|MB|GB|kB)"
US = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+")
EU = re.compile(r"\d{1,3}(?:[.’' \u00a0\u202f]\d{3})+(?:,\d+)?|\d+,\d+|\d+")
NOTHING = {"", "-", "–", "n/a", "na", "nan", "none", "null", "unknown", "?", "."}
IDENTIFIERS = {"id", "uuid", "zip", "zipcode", "postcode", "postal", "plz", "phone", "telephone", "ssn", "isbn", "sku"}
ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?\s?(Z|[+-]\d{2}:?\d{2})?")
MONTH_NAME = re.compile(r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b", re.IGNORECASE)
SLASHED = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})(\s.*)?")
AMOUNTS = MEAN_WORDS | SUM_WORDS
DATE_FORMATS = (
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\d{4}-\d{2}"), "%Y-%m"),
    (re.compile(r"\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}"), "%d/%b/%Y:%H:%M:%S %z"),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `style` is how text that holds numbers writes them; `date_format` how text that holds dates does."""

    name: str
    kind: Kind = "text"
    dtype: str = ""
    missing: int | None = None
    unique: int | None = None
    sample: tuple[Any, ...] = ()
    style: Style = ""
    date_format: str = ""

    @property
    def native_date(self) -> bool:
        return self.dtype.startswith("datetime64")

    @property
    def whole(self) -> bool:
        """Whether all values are integers."""
        return self.kind == "number" and self.dtype.casefold().startswith(("int", "uint"))

    @property
    def identifier(self) -> bool:
        """Whether its numbers only name things: nobody wants their sum."""
        words = pieces(self.name)
        return bool(words) and (words[-1] in IDENTIFIERS or words[0] == "id")

    @property
    def all_values_known(self) -> bool:
        return self.unique is not None and len(set(map(str, self.sample))) >= self.unique


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file. `reader` is empty for a file that is no table; `read` holds the options reading it takes."""

    path: str
    reader: str = ""
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    read: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def is_key(self, column: Column) -> bool:
        """Whether every row has its own value there."""
        return column.unique is not None and column.unique >= (self.rows or 0) > 1

    def numbers(self) -> list[Column]:
        """The number columns whose values mean amounts."""
        return [column for column in self.columns if column.kind == "number" and not column.identifier]

    def of(self, *kinds: Kind) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]


def find_context(texts: Iterable[str]) -> list[DataFile]:
    """The files of the last text that holds a `data_context` with a JSON object of `files`; [] when none does."""
    for text in reversed(list(texts)):
        for start in (match.end() for match in re.finditer("data_context", text)):
            found = first_object(text[start:])
            if found is not None:
                return [to_file(raw) for raw in found if isinstance(raw, dict) and isinstance(raw.get("path"), str)]
    return []


def first_object(text: str) -> list[Any] | None:
    """`files` of the first JSON object in `text` that has it, looking at a few opening braces."""
    for match in list(re.finditer(r"\{", text))[:8]:
        try:
            value, _ = json.JSONDecoder().raw_decode(text[match.start() :])
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and isinstance(value.get("files"), list):
            return list(value["files"])
    return None


def to_file(raw: Mapping[str, Any]) -> DataFile:
    """A file of the data context; whatever is missing or odd there becomes unknown here."""
    path = str(raw["path"])
    kind = str(raw.get("kind") or "").casefold()
    reader = TABLES.get(kind) or TABLES.get(path.rpartition(".")[2].casefold(), "")
    read: Any = raw.get("read")
    listed: Any = raw.get("columns")
    rows = raw.get("rows") if isinstance(raw.get("rows"), int) else None
    entries = listed if isinstance(listed, list) else []
    columns = [entry for entry in entries if isinstance(entry, dict) and "name" in entry]
    options = {key: value for key, value in read.items() if value is not None} if isinstance(read, dict) else {}
    if raw.get("records"):
        options["records"] = str(raw["records"])
    if reader == "json" and options.get("lines"):
        reader = "jsonl"
    if reader == "csv":
        columns, options = split_joined(columns, options)
    typed = tuple(to_column(entry, rows) for entry in columns)
    return DataFile(path, reader, rows, typed, options, str(raw.get("error") or ""))


def split_joined(columns: list[dict[str, Any]], read: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A single column named `a;b;c` is a file read with the wrong separator: split it, and read it with that one."""
    if len(columns) != 1:
        return columns, read
    name = str(columns[0]["name"])
    sep = next((mark for mark in (";", "\t", "|") if mark in name), "")
    if not sep:
        return columns, read
    values = [str(value).split(sep) for value in columns[0].get("sample") or []]
    apart = [
        {"name": part.strip('"'), "dtype": "str", "sample": [row[n] for row in values if n < len(row)]}
        for n, part in enumerate(name.split(sep))
    ]
    return apart, {**read, "sep": sep}


def to_column(raw: Mapping[str, Any], rows: int | None) -> Column:
    sample = raw.get("sample")
    column = Column(
        name=str(raw["name"]),
        dtype=str(raw.get("dtype") or ""),
        missing=raw.get("missing") if isinstance(raw.get("missing"), int) else None,
        unique=raw.get("unique") if isinstance(raw.get("unique"), int) else None,
        sample=tuple(sample) if isinstance(sample, list) else (),
    )
    return classify(column)


def classify(column: Column) -> Column:
    """The column with its kind, from its dtype first and its sample values second."""
    dtype = column.dtype.casefold()
    if dtype.startswith("bool"):
        return replace(column, kind="bool")
    if dtype.startswith(("datetime64", "date", "period")):
        return replace(column, kind="date")
    if dtype.startswith(("int", "uint", "float", "decimal", "double", "number")):
        stamp = timestamp_unit(column)
        return replace(column, kind="date", date_format=stamp) if stamp else replace(column, kind="number")
    texts = [str(value).strip() for value in column.sample if value is not None]
    if form := date_format(texts):
        return replace(column, kind="date", date_format=form)
    if not column.identifier and (style := number_style(texts)):
        return replace(column, kind="number", style=style)
    unseen = not texts and column.unique != 0
    return replace(column, kind="number") if unseen and set(stems(column.name)) & AMOUNTS else column


def timestamp_unit(column: Column) -> str:
    """`s` or `ms` for numbers since 1970, `%Y%m%d` for 20240131, in columns that are named like times."""
    named = set(pieces(column.name)) & {"date", "time", "timestamp", "ts", "created", "updated", "epoch", "datetime"}
    values = [value for value in column.sample if isinstance(value, int | float) and not isinstance(value, bool)]
    if not named or not values:
        return ""
    if all(946_684_800 <= value < 4_102_444_800 for value in values):
        return "s"
    if all(946_684_800_000 <= value < 4_102_444_800_000 for value in values):
        return "ms"
    if all(19_000_101 <= value <= 21_001_231 and float(value).is_integer() for value in values):
        return "%Y%m%d"
    return ""


def date_format(texts: Sequence[str]) -> str:
    """How these texts write dates: `ISO8601`, `ISO8601 utc`, a strptime format, `mixed`; empty when they are none."""
    known = [text for text in texts if fold(text) not in NOTHING]
    if not known:
        return ""
    if most(iso := [match for text in known if (match := ISO.fullmatch(text))], known):
        return "ISO8601 utc" if any(match[4] for match in iso) else "ISO8601"
    for pattern, form in DATE_FORMATS:
        if most([text for text in known if pattern.fullmatch(text)], known):
            return form
    if most(slashed := [match for text in known if (match := SLASHED.fullmatch(text))], known):
        return slashed_format(slashed)
    if all(MONTH_NAME.search(text) and re.search(r"\d", text) and len(text) < 32 for text in known):
        return "mixed"
    return ""


def most(some: Sequence[object], known: Sequence[object]) -> bool:
    """Whether some are three quarters: a few odd values do not make a column another one."""
    return len(some) * 4 >= len(known) * 3


def slashed_format(matches: Sequence[re.Match[str]]) -> str:
    """Day or month first, as far as the values tell; month first when they do not."""
    day_first = any(int(match[1]) > 12 for match in matches)
    if any(match[5] for match in matches):
        return "dayfirst" if day_first else "mixed"
    mark = matches[0][2]
    year = "%y" if len(matches[0][4]) == 2 else "%Y"
    return f"%d{mark}%m{mark}{year}" if day_first else f"%m{mark}%d{mark}{year}"


def number_style(texts: Sequence[str]) -> Style:
    """How these texts write numbers (`1,234.50 $`: us, `1.234,50 €`: eu); empty when some are no numbers."""
    known = [bare for text in texts if fold(bare := bare_number(text)) not in NOTHING]
    if not known or any(re.fullmatch(r"0\d+", bare) for bare in known):
        return ""
    us = most([bare for bare in known if US.fullmatch(bare)], known)
    eu = most([bare for bare in known if EU.fullmatch(bare)], known)
    if us and eu:
        european = any("€" in text or "EUR" in text for text in texts) and any("." in bare for bare in known)
        return "eu" if european else "us"
    if us:
        return "us"
    return "eu" if eu else ""


def bare_number(text: str) -> str:
    """The digits and separators of a number: without sign, parentheses, currency and unit."""
    inner = re.fullmatch(rf"\(?\s*[-+−]?\s*{MARK}?\s*[-+−]?\s*(.*?)\s*{MARK}?\s*\)?", text.strip())
    return inner[1] if inner else text
