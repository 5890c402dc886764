"""The documents are complete, fresh, and their examples work."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import cast, get_args

import pytest
from live_server import Live

from cellblock import app, errors, execution, settings
from cellblock.adapters import gateway
from cellblock.adapters.http.reference import render
from cellblock.host.interpreter import Interpreter

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
HTTP = (ROOT / "docs/http.md").read_text("utf-8")
EVENTS = {
    *("execution_start", "status", "stream", "display_data", "update_display_data", "execute_result", "clear_output"),
    *("error", "input_request", "execution_end", "gap", "snapshot"),
    *("cell_added", "cell_edited", "cell_moved", "cell_deleted", "file_changed", "kernel_state"),
}


def blocks(language: str) -> list[str]:
    """The fenced blocks of docs/http.md in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", HTTP, re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[tuple[str, str]]:
    """(command, what it should print) of a console block."""
    found = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, said) for command, _, said in (part.partition("\n") for part in found)]


def pattern(said: str) -> str:
    """What should be printed as an expression: `…` stands for anything, a line of its own for any lines."""
    return r".*?".join(re.escape(piece) for piece in said.strip().split("…"))


@pytest.mark.docs
def test_generated_files_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/write-generated", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.docs
def test_every_route_is_documented() -> None:
    routes = [f"`{method.upper()} {path}`" for path, item in app.openapi()["paths"].items() for method in item]
    documented = re.sub(r"`(GET /openapi.json)`, `(GET /docs)`", "", HTTP)
    missing = [route for route in routes if route not in documented]
    assert not missing


@pytest.mark.docs
def test_every_route_of_jupyters_is_documented() -> None:
    page = (ROOT / "docs/jupyter.md").read_text("utf-8")
    routes = gateway.router(cast("Interpreter", None), asyncio.Event()).routes
    addresses = [(route.path.replace(":path}", "}"), getattr(route, "methods", None) or {"GET"}) for route in routes]
    documented = [f"`{method} {path}`" for path, methods in addresses for method in methods - {"HEAD"}]
    assert [each for each in documented if each[1:-1] not in page] == []


@pytest.mark.docs
def test_every_status_event_and_error_is_documented() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")]
    codes = {kind.code for kind in kinds if kind is not errors.CellblockError}
    for word in {*get_args(execution.Status), *EVENTS, *codes}:
        assert f"`{word}`" in HTTP, word


@pytest.mark.docs
def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/settings.md").read_text("utf-8")
    for row in settings.rows():
        assert all(f"`{name}`" in page for name in row.env)


@pytest.mark.docs
@pytest.mark.parametrize("page", ["README.md", "docker-compose.yml", *(f"docs/{each.name}" for each in PAGES)])
def test_every_setting_that_a_document_names_is_one(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    known = {name for row in settings.rows() for name in row.env}
    assert set(re.findall(r"\bCELLBLOCK_[A-Z_]*[A-Z]\b(?!_)", text)) <= known
    options = {row.option for row in settings.rows()} | {"--token-file"}
    assert {
        option for line in re.findall(r"cellblock serve.*", text) for option in re.findall(r" (--[a-z-]+)", line)
    } <= options


@pytest.mark.docs
def test_the_reference_page_needs_nothing_from_elsewhere() -> None:
    page = render(app.openapi())
    assert not re.search(r"https?://|<script|<link|<img|@import|url\(", page)
    assert "POST" in page
    assert "/api/jupyter/execute" in page


def test_every_example_in_the_shell_prints_what_the_page_says(live: Live, tmp_path: Path) -> None:
    examples = [pair for block in blocks("console") for pair in commands(block)]
    assert examples[0][0] == (
        'curl -X POST http://localhost:3000/api/jupyter/execute -H "Content-Type: application/json" '
        '-d \'{"code": "print(\\"Hello from Jupyter\\")"}\''
    )
    script = "".join(f"{command}\nprintf '\\n@@@\\n'\n" for command, _ in examples)
    script = script.replace("localhost:3000", f"localhost:{live.port}")
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=250)
    printed = done.stdout.split("\n@@@\n")
    assert len(printed) == len(examples) + 1, done.stderr
    for (command, said), text in zip(examples, printed, strict=False):
        assert re.fullmatch(pattern(said), text.strip(), re.DOTALL), f"{command}\n{text}"


def test_every_example_in_python_works(live: Live) -> None:
    (block,) = blocks("python")
    code = block.replace("localhost:3000", f"localhost:{live.port}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (done.stdout, done.stderr) == ("0\n1\n2\n", "")
