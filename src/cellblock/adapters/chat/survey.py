"""What data files a workspace holds and what Python it is: runs inside the kernel, as text, and leaves no name behind.

Standard library, and pandas where the environment has it. It imports nothing of this package: the server reads this
file and sends it (`context.py`). Everything is bounded: files, bytes read, columns, lengths, seconds.
"""

import codecs
import csv
import io
import json
import os
import signal
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

MARK = "\x1ecellblock-survey "
FILES = 24
LISTED = 200
DEPTH = 4
COLUMNS = 80
WHOLE = 24 << 20
"""Bytes up to which a text file is read whole; of a larger one the first rows are."""
ROWS = 50_000
SHEET_ROWS = 5_000
SHEET_BYTES = 32 << 20
PRINTED = 600_000
"""Characters of all entries as JSON; beyond, the columns of the older files are left out."""
SECONDS = 7.0
SAMPLE = 3
TEXTS = 12
"""Values of a text column that are shown, from all over it: dates and dirty numbers show themselves only in several."""
CATEGORIES = 24
"""Different values up to which a text column shows all: questions name them."""
PACKAGES = """
numpy pandas scipy matplotlib seaborn scikit-learn plotly altair openpyxl pyarrow statsmodels polars duckdb
xgboost lightgbm torch tensorflow networkx sympy pillow requests beautifulsoup4 lxml nltk spacy geopandas
"""
KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def survey(root: str = ".") -> dict[str, Any]:
    """{"python", "packages": {name: version}, "files": [...], "others": n}: the newest data files first."""
    end = time.monotonic() + SECONDS
    found = sorted(walk(root), key=lambda item: -item[2])
    data = [item for item in found if kind_of(item[0])]
    entries = [examine(root, path, size, end) for path, size, _ in data[:FILES]]
    rest = [path for path, _, _ in found if not kind_of(path)]
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": packages(),
        "files": fitting(entries),
        "more": max(0, len(data) - FILES),
        "others": rest[:30],
    }


def fitting(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries within `PRINTED` characters."""
    made, left = [], PRINTED
    for entry in entries:
        left -= len(json.dumps(entry, default=str))
        if left < 0 and "columns" in entry:
            entry = {**entry, "columns": [], "columns_left_out": len(entry["columns"])}
        made.append(entry)
    return made


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """TimeoutError inside the block when time is up; the person's own alarm handler is put back."""
    if threading.current_thread() is not threading.main_thread() or seconds == float("inf"):
        yield
        return

    def expire(*_: object) -> None:
        raise TimeoutError("it takes too long")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES.split():
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def walk(root: str) -> Iterator[tuple[str, int, float]]:
    """Regular files below `root` as (path, size, modified), `LISTED` at most: no symlinks, nothing hidden."""
    count = 0
    for folder, folders, files in os.walk(root):
        inner = os.path.relpath(folder, root)
        depth = 0 if inner == "." else inner.count(os.sep) + 1
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__"))) if depth < DEPTH else []
        for name in sorted(files):
            status = os.lstat(os.path.join(folder, name))
            if name.startswith(".") or not stat.S_ISREG(status.st_mode):
                continue
            yield (name if inner == "." else os.path.join(inner, name)), status.st_size, status.st_mtime
            count += 1
            if count >= LISTED:
                return


def kind_of(path: str) -> str | None:
    return KINDS.get(os.path.splitext(path)[1].lower())


def examine(root: str, path: str, size: int, end: float) -> dict[str, Any]:
    """One file's entry; what cannot be read has an `error` instead of columns."""
    entry: dict[str, Any] = {"path": path, "kind": kind_of(path), "size": size}
    if time.monotonic() > end:
        return {**entry, "error": "not examined: the other files took too long"}
    if size == 0:
        return {**entry, "error": "the file is empty"}
    try:
        with warnings.catch_warnings(), limited(end - time.monotonic()):
            warnings.simplefilter("ignore")
            return {**entry, **READERS[entry["kind"]](os.path.join(root, path), size)}
    except ImportError as problem:
        return {**entry, "error": f"cannot be examined: {problem}"[:300]}
    except Exception as problem:  # whatever a library makes of a broken file is a fact about the file
        return {**entry, "error": f"{type(problem).__name__}: {problem}"[:300]}


# --- delimited text --------------------------------------------------------------------------------------------------


def read_delimited(path: str, size: int) -> dict[str, Any]:
    """Encoding and separator found by looking; then pandas. Lines that do not fit are skipped, and that is said."""
    import pandas as pd

    encoding = find_encoding(path)
    head = head_of(path, encoding)
    sep = "\t" if path.lower().endswith((".tsv", ".tab")) else find_separator(head)
    options: dict[str, Any] = {"encoding": encoding, "sep": sep}
    nrows = None if size <= WHOLE else rows_within(head)
    try:
        frame = pd.read_csv(path, nrows=nrows, low_memory=False, **options)
    except pd.errors.ParserError:
        options["on_bad_lines"] = "skip"
        frame = pd.read_csv(path, nrows=nrows, low_memory=False, **options)
    rows = len(frame) if nrows is None else count_lines(path) - 1
    return {"rows": rows, **columns_of(frame), "read": options, **sampled(nrows)}


def rows_within(head: str) -> int:
    """How many rows like the first ones make `WHOLE` bytes, `ROWS` at most."""
    return max(1, min(ROWS, WHOLE * (head.count("\n") + 1) // max(1, len(head))))


def find_encoding(path: str) -> str:
    """utf-8, utf-8-sig, utf-16, cp1252 or latin-1, by trying; ValueError for what is no text."""
    with open(path, "rb") as file:
        data = file.read(WHOLE)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in data[:65536]:
        raise ValueError("binary data, not text")
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for encoding in ("utf-8", "cp1252"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(data)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def head_of(path: str, encoding: str) -> str:
    """The first 64 KiB, without the line that was cut."""
    with open(path, encoding=encoding, newline="", errors="replace") as file:
        text = file.read(65536)
    return text[: text.rfind("\n") + 1] or text if len(text) == 65536 else text


def find_separator(text: str) -> str:
    """The separator that splits most lines into the same number of fields, more than one; a comma when none does."""
    best, score = ",", 0.0
    for sep in (",", ";", "\t", "|"):
        counts = [len(row) for row in first_rows(text, sep)]
        if not counts or counts[0] < 2:
            continue
        agreeing = counts.count(counts[0]) / len(counts)
        if agreeing * (1 + counts[0] / 1000) > score + 1e-9:
            best, score = sep, agreeing * (1 + counts[0] / 1000)
    return best


def first_rows(text: str, sep: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=sep):
            if row:
                rows.append(row)
            if len(rows) == 100:
                break
    except csv.Error:
        pass
    return rows


def count_lines(path: str) -> int:
    """Lines, counted by bytes: a quoted line break counts as one more."""
    total, last = 0, b"\n"
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            total += chunk.count(b"\n")
            last = chunk[-1:]
    return total + (last != b"\n")


# --- the other formats -----------------------------------------------------------------------------------------------


def read_excel(path: str, size: int) -> dict[str, Any]:
    """The first sheet with rows, of which the first are examined; the names of all."""
    import pandas as pd

    if size > SHEET_BYTES:
        return {"error": f"too large to examine ({size} bytes)"}
    with pd.ExcelFile(path) as book:
        sheets = [str(name) for name in book.sheet_names]
        for sheet in sheets:
            frame = book.parse(sheet, nrows=SHEET_ROWS)
            if len(frame) or len(frame.columns):
                cut = len(frame) == SHEET_ROWS
                rows = (getattr(book.book[sheet], "max_row", None) or SHEET_ROWS + 1) - 1 if cut else len(frame)
                more = {"sheets": sheets[:20]} if len(sheets) > 1 else {}
                said = sampled(SHEET_ROWS if cut else None)
                return {"rows": rows, **columns_of(frame), "read": {"sheet": sheet}, **more, **said}
    return {"error": "every sheet is empty"}


def read_json(path: str, size: int) -> dict[str, Any]:
    """A list of records, columns of lists or one record; JSON lines under the wrong name are recognised."""
    import pandas as pd

    if size > WHOLE:
        return {"error": f"too large to examine ({size} bytes)"}
    encoding = find_encoding(path)
    with open(path, encoding=encoding) as file:
        text = file.read()
    try:
        value = json.loads(text)
    except ValueError:
        if text.lstrip()[:1] == "{" and "\n" in text.strip():
            return read_jsonl(path, size)
        raise
    key, value = records_in(value)
    frame, how = flat(pd.DataFrame(value if isinstance(value, list) else columns_or_record(value)))
    inside = {} if key is None else {"records": key}
    return {"rows": len(frame), **columns_of(frame), "read": {"encoding": encoding, **how}, **inside}


def flat(frame: Any) -> tuple[Any, dict[str, Any]]:
    """Objects inside records become columns such as `customer.city`, and `read` says so."""
    import pandas as pd

    if not any(isinstance(item, dict) for name in frame.columns for item in frame[name].head(100)):
        return frame, {}
    return pd.json_normalize(frame.to_dict("records")), {"json_normalize": True}


def records_in(value: Any) -> tuple[str | None, Any]:
    """The first list of records inside an object, and its key; any other value as it is."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return str(key), inner
    return None, value


def columns_or_record(value: Any) -> Any:
    if isinstance(value, dict) and value and all(isinstance(inner, list | dict) for inner in value.values()):
        return value
    return [value]


def read_jsonl(path: str, size: int) -> dict[str, Any]:
    import pandas as pd

    encoding = find_encoding(path)
    nrows = None if size <= WHOLE else ROWS
    frame = pd.read_json(path, lines=True, encoding=encoding, nrows=nrows)
    rows = len(frame) if nrows is None else count_lines(path)
    frame, how = flat(frame)
    return {"rows": rows, **columns_of(frame), "read": {"encoding": encoding, "lines": True, **how}, **sampled(nrows)}


def read_parquet(path: str, size: int) -> dict[str, Any]:
    """Rows from the footer; the columns from the first rows only."""
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    with pq.ParquetFile(path) as file:
        rows, names = int(file.metadata.num_rows), file.schema_arrow.names
        batch = next(file.iter_batches(batch_size=ROWS, columns=names[:COLUMNS]), None)
        frame = (batch if batch is not None else file.schema_arrow.empty_table()).to_pandas()
    left = len(names) - min(len(names), COLUMNS)
    more = {"columns_left_out": left} if left else {}
    return {"rows": rows, **columns_of(frame), "read": {}, **more, **sampled(ROWS if rows > ROWS else None)}


def sampled(nrows: int | None) -> dict[str, int]:
    return {} if nrows is None else {"examined_rows": nrows}


READERS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "excel": read_excel,
    "json": read_json,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}


# --- columns ---------------------------------------------------------------------------------------------------------


def columns_of(frame: Any) -> dict[str, Any]:
    shown = [column(str(name), frame.iloc[:, n]) for n, name in enumerate(frame.columns[:COLUMNS])]
    left = len(frame.columns) - len(shown)
    return {"columns": shown, **({"columns_left_out": left} if left else {})}


def column(name: str, series: Any) -> dict[str, Any]:
    """{"name", "dtype", "missing", "unique", "sample"}: different values that are there."""
    present = series.dropna()
    try:
        unique: int | None = int(present.nunique())
        sample = spread(list(present.unique()), str(series.dtype))
    except TypeError:  # lists and dicts cannot be counted
        unique, sample = None, list(present.head(SAMPLE))
    return {
        "name": name[:120],
        "dtype": str(series.dtype),
        "missing": int(len(series) - len(present)),
        "unique": unique,
        "sample": [value(item) for item in sample],
    }


def spread(values: list[Any], dtype: str) -> list[Any]:
    """All of a few categories, a dozen of many texts, `SAMPLE` of anything else."""
    if dtype not in ("str", "string", "object", "category"):
        return values[:SAMPLE]
    if len(values) <= CATEGORIES:
        return values
    return values[:: len(values) // TEXTS][:TEXTS]


def value(item: Any) -> Any:
    """A value as short JSON."""
    item = item.item() if hasattr(item, "item") and not hasattr(item, "isoformat") else item
    if isinstance(item, bool | int) or (isinstance(item, float) and abs(item) < 1e300):
        return item
    text = item.isoformat() if hasattr(item, "isoformat") else str(item)
    return text if len(text) <= 60 else text[:57] + "…"


if __name__ == "__cellblock_survey__":
    sys.stdout.write("\n" + MARK + json.dumps(survey(), allow_nan=False, default=str) + "\n")
