"""A file run from the command line, in an interpreter of its own that leaves nothing behind."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from cellblock import settings
from cellblock.errors import InvalidRequest
from cellblock.execution import Event
from cellblock.host.interpreter import ExecuteRequest, Interpreter

OWNER = "local"
Cells = list[tuple[str | None, str]]


class Script:
    """A file run from the command line, in an interpreter of its own."""

    def __init__(self, file: Path, output: Path | None, timeout: float | None, data: list[Path]) -> None:
        self.file, self.timeout, self.data = file, timeout, data
        self.output = output or file.with_suffix(".out.ipynb")
        self.notebook = file.suffix == ".ipynb"

    async def run(self) -> int:
        """The exit code."""
        text = _read(self.file)
        with tempfile.TemporaryDirectory(prefix="cellblock-run-") as directory:
            given = {"max_timeout": max(self.timeout, 1.0)} if self.timeout else {}
            config = settings.config(settings.load(pool_size=0, **given))
            interpreter = await Interpreter.start(replace(config, data_dir=Path(directory), reattach_timeout=0.0))
            try:
                await interpreter.ready()
                return await self._run(interpreter, text)
            finally:
                await interpreter.aclose()

    async def _run(self, interpreter: Interpreter, text: str) -> int:
        id = (await interpreter.create(OWNER, title=self.file.stem))["id"]
        for path in self.data:
            await interpreter.write_file(OWNER, id, path.name, _pieces(path), size=None)
        cells = await self._import(interpreter, id, text) if self.notebook else divided(text)
        ok = await self._cells(interpreter, id, cells)
        if self.notebook:
            self.output.write_bytes((await interpreter.export(OWNER, id, "ipynb")).body)
            print(f"Written to {self.output}", file=sys.stderr)
        return 0 if ok else 1

    async def _import(self, interpreter: Interpreter, id: str, text: str) -> Cells:
        try:
            document = json.loads(text)
        except ValueError as problem:
            raise InvalidRequest(f"{self.file} is not a notebook: {problem}", hint="") from None
        view = await interpreter.import_notebook(OWNER, id, document)
        return [(cell["id"], cell["source"]) for cell in view["cells"] if cell["type"] == "code"]

    async def _cells(self, interpreter: Interpreter, id: str, cells: Cells) -> bool:
        for cell_id, code in cells:
            request = ExecuteRequest(code, id, cell_id, store=self.notebook, timeout=self.timeout, door="run")
            accepted = await interpreter.submit(OWNER, request)
            async for event in interpreter.events(OWNER, accepted["id"]):
                show(event, sys.stdout, sys.stderr)
            if (await interpreter.result(OWNER, accepted["id"]))["status"] != "ok":
                return False
        return True


def _read(path: Path) -> str:
    if path.suffix not in (".py", ".ipynb"):
        raise InvalidRequest(f"{path} is neither a .py nor an .ipynb.", hint="")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem}", hint="") from None


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, 1 << 20):
                yield piece
    except OSError as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem}", hint="") from None


def divided(text: str) -> Cells:
    """The cells of a script: what stands between lines that begin with `# %%`; markdown cells are left out."""
    cells: list[list[str]] = [[]]
    for line in text.splitlines(keepends=True):
        if line.startswith("# %%"):
            cells.append([])
        cells[-1].append(line)
    codes = ["".join(lines) for lines in cells if not (lines and lines[0].startswith("# %% [markdown]"))]
    return [(None, code) for code in codes if code.strip()]


def show(event: Event, out: TextIO, err: TextIO) -> None:
    """An event as a person at a terminal reads it."""
    content = event["content"]
    match event["event"]:
        case "stream":
            print(content["text"], end="", file=err if content["name"] == "stderr" else out, flush=True)
        case "execute_result" | "display_data":
            print(content["data"].get("text/plain", ""), file=out, flush=True)
        case "error":
            print("\n".join(content["traceback"]), file=err, flush=True)
        case "execution_end" if content["status"] not in ("ok", "error"):
            print(f"cellblock: {content['status']}. {content['notice'] or ''}".rstrip(), file=err, flush=True)
