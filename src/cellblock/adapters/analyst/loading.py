"""The code that reads a file and makes its columns usable: options of reading, numbers written as text, dates. Pure.

Names and values from a file reach code only as Python literals (`literal`).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from cellblock.adapters.analyst.plan import Filter, Plan
from cellblock.adapters.analyst.schema import Column, DataFile

CAREFUL_TABLE = '''\
def read_table(path):
    """Read a text table whatever its encoding and separator."""
    for encoding in ("utf-8-sig", "cp1252", "latin-1"):
        try:
            return pd.read_csv(path, sep=None, engine="python", encoding=encoding, on_bad_lines="skip")
        except UnicodeDecodeError:
            continue
'''
CAREFUL_JSON = '''\
def read_json(path):
    """Read JSON or JSON lines; of an object, its first list of records."""
    text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        data = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(data, dict):
        data = next((value for value in data.values() if isinstance(value, list)), [data])
    return pd.json_normalize(data)
'''
CAREFUL_NUMBER = '''\
def to_number(value):
    """Turn text such as "1,234.50 €", "1.234,50" or "(12)" into a number; anything else into nothing."""
    text = re.sub(r"[^\\d.,()-]", "", str(value))
    sign = -1 if text.startswith(("-", "(")) else 1
    text = text.strip("()-")
    if text.rfind(",") > text.rfind("."):
        is_thousands = re.fullmatch(r"\\d{1,3}(,\\d{3})+", text)
        text = text.replace(",", "") if is_thousands else text.replace(".", "").replace(",", ".")
    else:
        text = text.replace(",", "")
    try:
        return sign * float(text)
    except ValueError:
        return None
'''


def literal(value: Any) -> str:
    """A Python literal of a plain value. Text that a reader can read gets double quotes, everything else `repr`."""
    if isinstance(value, bool | int | float) or value is None:
        return repr(value)
    text = str(value)
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return repr(text)


def column_of(column: Column | str) -> str:
    """`df["name"]`."""
    return f"df[{literal(column if isinstance(column, str) else column.name)}]"


def used_columns(plan: Plan) -> list[Column]:
    """The columns a plan touches; all of them when it looks at the whole file."""
    if plan.action in ("profile", "columns", "missing", "preview"):
        return list(plan.file.columns)
    conditions: Sequence[Filter] = [*plan.filters, *plan.parts]
    touched = [*plan.measures, *(group.column for group in plan.groups), *(c for f in conditions for c in f.columns)]
    return unique_columns(touched)


def unique_columns(columns: Iterable[Column]) -> list[Column]:
    found: dict[str, Column] = {}
    for column in columns:
        found.setdefault(column.name, column)
    return list(found.values())


def loading(plan: Plan) -> list[str]:
    """The lines that make `df`."""
    return careful(plan) if plan.careful else [*plain(plan.file), *cleaning(plan)]


def plain(file: DataFile) -> list[str]:
    """Reading with the options the data context found."""
    path = literal(file.path)
    match file.reader:
        case "excel":
            sheet = file.read.get("sheet")
            option = (
                f", sheet_name={literal(sheet)}" if isinstance(sheet, str | int) and not isinstance(sheet, bool) else ""
            )
            return [f"df = pd.read_excel({path}{option})"]
        case "parquet":
            return [f"df = pd.read_parquet({path})"]
        case "jsonl":
            read = f"pd.read_json({path}, lines=True{encoding_option(file)})"
            return [f'df = pd.json_normalize({read}.to_dict("records"))' if nested(file) else f"df = {read}"]
        case "json":
            return read_json(file, path)
        case _:
            return [f"df = pd.read_csv({path}{csv_options(file)})"]


def nested(file: DataFile) -> bool:
    """Whether columns come from objects inside the records, such as `customer.city`."""
    return bool(file.read.get("json_normalize"))


def encoding_option(file: DataFile) -> str:
    """`, encoding="cp1252"`, or nothing for the usual one."""
    encoding = str(file.read.get("encoding") or "utf-8")
    usual = encoding.casefold().replace("_", "-") in ("utf-8", "utf8", "ascii", "us-ascii")
    return "" if usual else f", encoding={literal(encoding)}"


def read_json(file: DataFile, path: str) -> list[str]:
    key = file.read.get("records")
    inside = f"[{literal(key)}]" if isinstance(key, str) and key else ""
    encoding = encoding_option(file) or ', encoding="utf-8"'
    maker = "pd.json_normalize" if nested(file) else "pd.DataFrame"
    return [f"data = json.loads(Path({path}).read_text({encoding[2:]}))", f"df = {maker}(data{inside})"]


def csv_options(file: DataFile) -> str:
    """`, sep=";", encoding="latin-1"`: what differs from pandas' own defaults."""
    sep = file.read.get("sep")
    if not isinstance(sep, str) or not sep:
        sep = "\t" if file.path.casefold().endswith((".tsv", ".tab")) else ","
    options = "" if sep == "," else f", sep={chr(34)}\\t{chr(34)}" if sep == "\t" else f", sep={literal(sep)}"
    options += encoding_option(file)
    if file.read.get("on_bad_lines") == "skip":
        options += ', on_bad_lines="skip"'
    for name in ("decimal", "thousands"):
        if isinstance(file.read.get(name), str) and file.read[name]:
            options += f", {name}={literal(file.read[name])}"
    for name in ("skiprows", "header"):
        if isinstance(file.read.get(name), int) and not isinstance(file.read.get(name), bool):
            options += f", {name}={file.read[name]}"
    return options


def cleaning(plan: Plan) -> list[str]:
    """Numbers written as text and dates, of the columns in use."""
    lines = []
    for column in used_columns(plan):
        if column.kind == "number" and column.style:
            lines += number_cleaning(column)
        elif column.kind == "date" and not column.native_date:
            lines += date_cleaning(column)
        elif column.kind == "date" and "," in column.dtype:
            lines.append(f"{column_of(column)} = {column_of(column)}.dt.tz_localize(None)")
    return lines


def number_cleaning(column: Column) -> list[str]:
    """`"1.234,50 €"` or `"$1,234.50"` as numbers; what is none becomes missing."""
    of = column_of(column)
    example = next((str(value) for value in column.sample if re.search(r"[^\d.]", str(value))), "")
    comment = f"# {literal(example)} is text: keep its digits" if example else "# numbers written as text"
    text = f"{of}.astype(str)"
    if any(str(value).strip().startswith("(") for value in column.sample):
        text += r'.str.replace(r"^\((.*)\)$", r"-\1", regex=True)'
    if column.style == "eu":
        text += r'.str.replace(r"[^\d,\-]", "", regex=True).str.replace(",", ".")'
    else:
        text += r'.str.replace(r"[^\d.\-]", "", regex=True)'
    return [comment, f"digits = {text}", f'{of} = pd.to_numeric(digits, errors="coerce")']


def date_cleaning(column: Column) -> list[str]:
    of = column_of(column)
    match column.date_format:
        case "s" | "ms":
            return [f'{of} = pd.to_datetime({of}, unit="{column.date_format}")']
        case "dayfirst":
            return [f'{of} = pd.to_datetime({of}, format="mixed", dayfirst=True)']
        case "ISO8601 utc":
            return [f'{of} = pd.to_datetime({of}, format="ISO8601", utc=True).dt.tz_localize(None)']
        case form if "%z" in form:
            return [f'{of} = pd.to_datetime({of}, format="{form}", utc=True).dt.tz_localize(None)']
        case form:
            return [f'{of} = pd.to_datetime({of}, format="{form or "mixed"}")']


# --- the second try --------------------------------------------------------------------------------------------------


def careful(plan: Plan) -> list[str]:
    """Reading that survives a wrong encoding or separator, dirty numbers and odd dates."""
    path = literal(plan.file.path)
    match plan.file.reader:
        case "excel" | "parquet":
            lines = plain(plan.file)
        case "json" | "jsonl":
            lines = [*CAREFUL_JSON.splitlines(), "", "", f"df = read_json({path})"]
        case _:
            lines = [*CAREFUL_TABLE.splitlines(), "", "", f"df = read_table({path})"]
    dirty = [column for column in used_columns(plan) if column.kind == "number"]
    dates = [column for column in used_columns(plan) if column.kind == "date"]
    if dirty:
        lines = [*CAREFUL_NUMBER.splitlines(), "", "", *lines]
    lines += [f"{column_of(c)} = {column_of(c)}.map(to_number).astype(float)" for c in dirty]
    for column in dates:
        of = column_of(column)
        unit = column.date_format if column.date_format in ("s", "ms") else ""
        how = (
            f'unit="{unit}"'
            if unit
            else 'format="mixed"' + (", dayfirst=True" if column.date_format[:2] == "%d" else "")
        )
        lines.append(f'{of} = pd.to_datetime({of}, {how}, utc=True, errors="coerce").dt.tz_localize(None)')
    return lines
