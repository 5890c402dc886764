"""Runs golden notebooks through a real interpreter; `python tests/golden/replay.py NAME…` records outputs anew."""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cellblock.content import Output
from cellblock.host.interpreter import Config, ExecuteRequest, Interpreter
from cellblock.host.launcher import Environment
from cellblock.notebook import NotebookView, to_ipynb
from cellblock.outputs import Outputs
from cellblock.rendering import strip_ansi
from templates import begun

FOLDER = Path(__file__).parent
OWNER = "local"
_VOLATILE = (
    (re.compile(r"0x[0-9a-f]{6,}"), "0x…"),
    (re.compile(r"(CPU times|Wall time): .*"), r"\1: …"),
    (re.compile(r"\([^()]*line (\d+)\)"), r"(line \1)"),
    (re.compile(r"base64,[\w+/=\\\n]+"), "base64,…"),
    (re.compile(r"[0-9a-f]{32}"), "…"),
)
# What depends on Python's version: a warning since 3.12, and the lines of its own library.
_FORKS = re.compile(r"\S+ DeprecationWarning: This process \(pid=\d+\) is multi-threaded, .*\n(  .*\n)?")
_LIBRARY = re.compile(r"File \S*/lib/python3\.\d+/(?!site-packages)")


@asynccontextmanager
async def interpreter() -> AsyncIterator[Interpreter]:
    """One with the default environment, in a data directory of its own."""
    with tempfile.TemporaryDirectory(prefix="golden-", ignore_cleanup_errors=True) as directory:
        made = await Interpreter.start(
            Config(data_dir=begun(Path(directory)), environments=[Environment()], pool_size=1, pool_max=1)
        )
        try:
            await made.ready()
            yield made
        finally:
            await made.aclose()


async def run(interpreter: Interpreter, ipynb: dict[str, Any]) -> NotebookView:
    """Imports a notebook into a new session and runs its cells in order, past errors.

    Its metadata may have `answers`, given in order to whatever its cells ask.
    """
    id = (await interpreter.create(OWNER))["id"]
    imported = await interpreter.import_notebook(OWNER, id, ipynb, revision=None)
    answers = iter(ipynb["metadata"].get("answers", []))
    for cell in imported["cells"]:
        if cell["type"] == "code":
            request = ExecuteRequest(code=cell["source"], kernel_id=id, cell_id=cell["id"], allow_stdin=True)
            result = await interpreter.submit(OWNER, request)
            async for event in interpreter.events(OWNER, result["id"]):
                if event["event"] == "input_request":
                    await interpreter.answer(OWNER, result["id"], next(answers))
    assert not list(answers), "a question was not asked"
    view = await interpreter.notebook(OWNER, id)
    await interpreter.delete(OWNER, id)
    return view


def normal(outputs: list[Output], *, tracebacks: bool = True) -> list[Any]:
    """Outputs without what differs from run to run and from Python to Python: times, addresses, the bytes of images."""
    folded = Outputs(1 << 20)
    for output in outputs:
        if output["output_type"] == "stream":
            if said := _FORKS.sub("", output["text"]):
                folded.stream(output["name"], said)
        elif output["output_type"] == "error":
            frames = [frame for frame in output["traceback"] if not _LIBRARY.match(strip_ansi(frame))]
            folded.error(output["ename"], output["evalue"], frames if tracebacks else [])
        else:
            folded.display({key: value for key, value in output.items() if key != "transient"})
    folded.close()
    return [_settled(output) for output in json.loads(json.dumps(folded.outputs()))]


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "…" if key.startswith("image/p") else _settled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_settled(item) for item in value]
    if isinstance(value, str):
        for volatile, instead in _VOLATILE:
            value = volatile.sub(instead, strip_ansi(value))
    return value


async def record(names: list[str]) -> None:
    async with interpreter() as running:
        for path in map(FOLDER.joinpath, names):
            view = await run(running, json.loads(path.read_text()))
            path.write_text(json.dumps(to_ipynb(view), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:] or sorted(path.name for path in FOLDER.glob("*.ipynb"))))
