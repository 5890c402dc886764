"""What a model is told about the files before it writes code: computed in the kernel, silently, and judged here.

What comes back was made by a kernel nobody trusts: it is cut to shape and size, and it cannot close the fence it is
put into.
"""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from cellblock.adapters.chat.survey import MARK
from cellblock.content import clean
from cellblock.errors import CellblockError
from cellblock.host.interpreter import Interpreter

SURVEY = Path(__file__).with_name("survey.py").read_text("utf-8")
TIMEOUT = 10.0
LIMIT = 30_000
"""Characters of the data context, as JSON."""
SAMPLE = 24
"""Values of one column."""


class Context(TypedDict):
    """What the survey found. `key` names the state of the workspace it is true for."""

    key: str
    python: str
    packages: dict[str, str]
    files: list[dict[str, Any]]
    others: list[str]


def snippet() -> str:
    """The survey as one statement that binds no name in the person's namespace."""
    run = {"__name__": "__cellblock_survey__", "__file__": "<survey>"}
    return f"exec(compile({SURVEY!r}, '<survey>', 'exec'), {run!r})"


async def data_context(interpreter: Interpreter, owner: str, session: str, known: Context | None) -> Context:
    """The context of a session as it is now; `known` is given back while no file has changed since."""
    files = await interpreter.files(owner, session)
    key = hashlib.sha256(repr([(f["path"], f["size"], f["modified"]) for f in files]).encode()).hexdigest()[:16]
    if known is not None and known["key"] == key:
        return known
    try:
        async with asyncio.timeout(TIMEOUT + 1):
            printed = await interpreter.peek(owner, session, snippet(), timeout=TIMEOUT)
        return understand(printed, key)
    except (CellblockError, TimeoutError, ValueError, RecursionError):
        names = [clean(f["path"]) for f in files if f["type"] == "file"]
        return unread(names)


def unread(names: list[str]) -> Context:
    """When the kernel could not be asked: the names only, and a key that is never true, so that it is asked again."""
    said = "not examined: the kernel is busy or did not answer in time"
    files: list[dict[str, Any]] = [{"path": name, "error": said} for name in names[:50]]
    return {"key": "", "python": "", "packages": {}, "files": files, "others": []}


def understand(printed: str, key: str) -> Context:
    """The Context in what the survey printed; ValueError when it is not there."""
    _, mark, rest = printed.rpartition(MARK)
    if not mark:
        raise ValueError("the survey printed nothing")
    raw = json.loads(rest.partition("\n")[0])
    if not isinstance(raw, dict):
        raise ValueError("the survey is not an object")
    files = [entry for item in as_list(raw.get("files"))[:50] if (entry := file_entry(item))]
    versions = raw.get("packages")
    named = versions.items() if isinstance(versions, dict) else ()
    return {
        "key": key,
        "python": word(raw.get("python"), 20),
        "packages": {word(name, 40): word(version, 20) for name, version in list(named)[:60]},
        "files": bounded(files),
        "others": [short(name, 200) for name in as_list(raw.get("others"))[:30]],
    }


def file_entry(item: Any) -> dict[str, Any] | None:
    """One file with the fields we know, each of its type."""
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        return None
    entry: dict[str, Any] = {"path": short(item["path"], 300), "kind": short(item.get("kind"), 20)}
    for name in ("size", "rows", "columns_left_out", "examined_rows"):
        if isinstance(item.get(name), int):
            entry[name] = item[name]
    if "columns" in item:
        entry["columns"] = [made for raw in as_list(item["columns"])[:100] if (made := column_entry(raw))]
    if isinstance(item.get("read"), dict):
        entry["read"] = {short(k, 40): scalar(v) for k, v in list(item["read"].items())[:10]}
    if "records" in item:
        entry["records"] = short(item["records"], 80)
    if "sheets" in item:
        entry["sheets"] = [short(name, 60) for name in as_list(item["sheets"])[:20]]
    if "error" in item:
        entry["error"] = short(item["error"], 300)
    return entry


def column_entry(raw: Any) -> dict[str, Any] | None:
    if not isinstance(raw, dict):
        return None
    return {
        "name": short(raw.get("name"), 120),
        "dtype": short(raw.get("dtype"), 40),
        "missing": raw.get("missing") if isinstance(raw.get("missing"), int) else None,
        "unique": raw.get("unique") if isinstance(raw.get("unique"), int) else None,
        "sample": [scalar(value) for value in as_list(raw.get("sample"))[:SAMPLE]],
    }


def bounded(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Within `LIMIT`: samples go first, from the oldest file on, then whole columns."""
    for strip in (without_samples, without_columns):
        for n in reversed(range(len(files))):
            if len(json.dumps(files)) <= LIMIT:
                return files
            files = [*files[:n], strip(files[n]), *files[n + 1 :]]
    return files


def without_samples(entry: dict[str, Any]) -> dict[str, Any]:
    columns = [{**column, "sample": []} for column in entry.get("columns", [])]
    return {**entry, "columns": columns} if columns else entry


def without_columns(entry: dict[str, Any]) -> dict[str, Any]:
    """Eight columns stay, so that the file can still be recognised."""
    columns = entry.get("columns", [])
    left = entry.get("columns_left_out", 0) + max(0, len(columns) - 8)
    return {**entry, "columns": columns[:8], **({"columns_left_out": left} if left else {})} if columns else entry


def fenced(context: Context) -> str:
    """The block a model reads: JSON in a fence named `data_context`; no backtick inside can close it."""
    body = json.dumps({"files": context["files"]}, ensure_ascii=False, separators=(",", ":"))
    return f"```data_context\n{body.replace('`', chr(92) + 'u0060')}\n```"


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def short(value: Any, limit: int) -> str:
    return clean(str(value if value is not None else "")[:limit])


def word(value: Any, limit: int) -> str:
    """A name or a version: what stands outside the fence can be no sentence, whatever a hostile kernel says."""
    return "".join(c for c in short(value, limit) if c.isascii() and (c.isalnum() or c in "._+!-"))


def scalar(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else short(value, 80)
