"""A file run from the command line, in an interpreter of its own that leaves nothing behind."""

import asyncio
import json
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from cellblock import settings
from cellblock.errors import InvalidRequest
from cellblock.execution import ErrorInfo, Event
from cellblock.host.interpreter import ExecuteRequest, Interpreter

OWNER = "local"
# What a terminal obeys, but for lines, tabs, CSI sequences that move or erase, and colours.
COMMANDS = re.compile(r"\x1b(?!\[[0-9;:]{0,64}[A-HJKm])|[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
Cells = list[tuple[str | None, str]]


class Script:
    """A file run from the command line, in an interpreter of its own."""

    def __init__(self, file: Path, output: Path | None, timeout: float | None, data: list[Path]) -> None:
        self.file, self.timeout, self.data = file, timeout, data
        self.output = output or file.with_suffix(".out.ipynb")
        self.notebook = file.suffix == ".ipynb"

    async def run(self) -> int:
        """The exit code. SIGTERM ends it in order, as SIGINT does: nothing is left behind, and what has run is written."""
        if task := asyncio.current_task():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        text = _read(self.file)
        if self.notebook and not self.output.parent.is_dir():  # told before the work, not after
            raise InvalidRequest(f"{self.output} cannot be written: there is no such directory.")
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
        try:
            return await self._cells(interpreter, id, cells)
        finally:
            if self.notebook:
                self._write((await interpreter.export(OWNER, id, "ipynb")).body)
                print(f"Written to {self.output}", file=sys.stderr)

    def _write(self, notebook: bytes) -> None:
        try:
            self.output.write_bytes(notebook)
        except OSError as problem:
            raise InvalidRequest(f"{self.output} cannot be written: {problem.strerror}.") from None

    async def _import(self, interpreter: Interpreter, id: str, text: str) -> Cells:
        try:
            document = json.loads(text)
        except ValueError as problem:
            raise InvalidRequest(f"{self.file} is not a notebook: {problem}") from None
        view = await interpreter.import_notebook(OWNER, id, document)
        return [(cell["id"], cell["source"]) for cell in view["cells"] if cell["type"] == "code"]

    async def _cells(self, interpreter: Interpreter, id: str, cells: Cells) -> int:
        """The exit code: that of a script which asks for one, else 1 after the first error."""
        for cell_id, code in cells:
            request = ExecuteRequest(code, id, cell_id, store=self.notebook, timeout=self.timeout, door="run")
            accepted = await interpreter.submit(OWNER, request)
            async for event in interpreter.events(OWNER, accepted["id"]):
                show(event, sys.stdout, sys.stderr)
            result = await interpreter.result(OWNER, accepted["id"])
            if result["status"] != "ok":
                return 1 if self.notebook else exit_code(result["error"])
        return 0


def exit_code(error: ErrorInfo | None) -> int:
    """What Python itself would exit with: `sys.exit()` and `sys.exit(0)` are no failure."""
    if error is None or error["ename"] != "SystemExit":
        return 1
    asked = error["evalue"]
    return int(asked) & 0xFF if re.fullmatch(r"-?[0-9]{1,9}", asked) else 0 if asked in ("", "None") else 1


def _read(path: Path) -> str:
    if path.suffix not in (".py", ".ipynb"):
        raise InvalidRequest(f"{path} is neither a .py nor an .ipynb.")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem}") from None


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, 1 << 20):
                yield piece
    except OSError as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem}") from None


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
            say(content["text"], err if content["name"] == "stderr" else out, end="")
        case "execute_result" | "display_data":
            say(content["data"].get("text/plain", ""), out)
        case "error":
            say("\n".join(content["traceback"]), err)
        case "execution_end" if content["status"] not in ("ok", "error"):
            say(f"cellblock: {content['status']}. {content['notice'] or ''}".rstrip(), err)


def say(text: str, where: TextIO, end: str = "\n") -> None:
    """To a file as it is. To a terminal only what moves the cursor or colours: others set titles, or fill a clipboard."""
    print(COMMANDS.sub("", text) if where.isatty() else text, end=end, file=where, flush=True)
