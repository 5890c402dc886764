"""Notebooks through the whole path: what is recorded is what a sandboxed kernel gives, and what plain Jupyter gives."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nbclient
import nbformat
import pytest
import pytest_asyncio
from jupyter_client import AsyncKernelClient
from replay import FOLDER, interpreter, normal, run

from cellblock.host.interpreter import Interpreter
from cellblock.notebook import to_ipynb

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONG = {
    "animations",
    "plots",
    "processes",
    "shell",
}  # they take Jupyter's kernel, which starts from nothing, half a minute
EXPORTED = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else []) for path in NOTEBOOKS
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Interpreter]:
    async with interpreter() as made:
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
async def test_a_notebook_gives_the_outputs_recorded_in_it(running: Interpreter, path: Path) -> None:
    golden = json.loads(path.read_text())
    got = to_ipynb(await run(running, golden))
    nbformat.validate(got)
    assert [cell["source"] for cell in got["cells"]] == [cell["source"] for cell in golden["cells"]]
    for mine, recorded in zip(got["cells"], golden["cells"], strict=True):
        assert normal(mine.get("outputs", [])) == normal(recorded.get("outputs", [])), mine["source"]
        assert mine.get("execution_count") == recorded.get("execution_count")


class Answering(nbclient.NotebookClient):
    """Answers what cells ask with what the notebook's metadata says."""

    async def async_start_new_kernel_client(self) -> AsyncKernelClient:
        client: AsyncKernelClient = await super().async_start_new_kernel_client()
        client.allow_stdin = True
        self.answering = asyncio.create_task(self.answer(client))
        return client

    async def answer(self, client: AsyncKernelClient) -> None:
        for answer in self.nb.metadata.get("answers", []):
            await client.get_stdin_msg()
            client.input(answer)


# ipykernel reads what programs print in a thread of its own: on a busy machine after the cell that ran them, and what is read
# then is nobody's. Here the code goes on when all of it has been read.
IN_TIME = """
import os, subprocess, threading
from types import SimpleNamespace
from ipykernel import iostream

END, all_read, wait = b"\\x1f", threading.Event(), subprocess.Popen.wait

def read(fd, size):
    while True:
        if data := os.read(fd, size).replace(END, b""):
            return data
        all_read.set()  # it came alone, so what came before has been published

def go_on():
    all_read.clear()
    while not all_read.wait(0.01):
        os.write(1, END)

def waited(process, timeout=None):
    status = wait(process, timeout)
    go_on()
    return status

iostream.os = SimpleNamespace(**{**vars(os), "read": read})
subprocess.Popen.wait = waited
go_on()  # what is being read now still goes the old way
"""


@pytest.mark.parametrize("path", EXPORTED)
def test_what_is_exported_runs_in_plain_jupyter_with_the_same_outputs(path: Path, tmp_path: Path) -> None:
    golden = json.loads(path.read_text())
    notebook = nbformat.reads(json.dumps(golden), as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    start = tmp_path / "start"
    start.write_text(IN_TIME)
    arguments = [f"--IPKernelApp.exec_lines=exec(open({str(start)!r}).read(), {{}})"]
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # `python` is the environment's
    env.pop("PYTEST_CURRENT_TEST")  # with it ipykernel does not read what programs print
    client = Answering(notebook, allow_errors=True, resources=resources, timeout=60, extra_arguments=arguments)
    client.execute(env=env)
    for theirs, recorded in zip(notebook.cells, golden["cells"], strict=True):
        got, want = (normal(cell.get("outputs", []), tracebacks=False) for cell in (theirs, recorded))
        assert got == want, theirs["source"]
