"""Runs the analyst's code for real, in this process, and hands it what the tool would: pandas, matplotlib (Agg).

The data context comes from the survey the chat door runs in kernels, the text of a run from the tool's own `for_model`.
"""

import ast
import base64
import contextlib
import io
import os
import re
import runpy
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

import cellblock
from cellblock.adapters.analyst.plan import Reply
from cellblock.adapters.analyst.question import Turn, answer_to
from cellblock.adapters.analyst.respond import Attempt, Step, respond
from cellblock.adapters.analyst.schema import DataFile, to_file
from cellblock.adapters.tool import for_model

DATA = Path(__file__).parent / "data"
SURVEY = runpy.run_path(str(Path(cellblock.__file__).parent / "adapters" / "chat" / "survey.py"))
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"\0\0\x03\x20\0\0\x01\xc2").decode()


def make_files(folder: Path) -> None:
    """The data files of the tests; Excel and Parquet are made from their sources here."""
    for source in DATA.iterdir():
        if source.suffix != ".toml" and ".source" not in source.name:
            (folder / source.name).write_bytes(source.read_bytes())
    employees = pd.read_csv(DATA / "employees.source.csv", parse_dates=["Hire Date"])
    employees.to_excel(folder / "employees.xlsx", index=False)
    patients = pd.read_csv(DATA / "patients.source.csv", parse_dates=["admission_date"])
    patients.to_parquet(folder / "patients.parquet", index=False)


def survey(folder: Path, names: Sequence[str]) -> list[DataFile]:
    """What the data context says about these files, newest first as there."""
    entries = [SURVEY["examine"](str(folder), name, (folder / name).stat().st_size, float("inf")) for name in names]
    return [to_file(entry) for entry in entries]


@dataclass
class Run:
    """One question carried through: every step, the plan, and what the code gave."""

    reply: Reply
    steps: list[Step] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    figures: int = 0

    @property
    def answer(self) -> str:
        return self.steps[-1].text

    @property
    def code(self) -> str:
        return self.attempts[-1].code if self.attempts else ""

    @property
    def outputs(self) -> str:
        return "\n".join(attempt.output for attempt in self.attempts)


def ask(question: str, files: Sequence[DataFile], folder: Path, earlier: Sequence[str] = ()) -> Run:
    """Ask, run what the analyst writes, and go on until it has said its last."""
    turns: list[Turn] = []
    for before in earlier:
        turns.append(Turn(before, respond(before, files, turns).code))
    run = Run(answer_to(question, files, turns))
    for _ in range(4):
        step = respond(question, files, turns, run.attempts)
        run.steps.append(step)
        if not step.code:
            return run
        output, figures = execute(step.code, folder)
        run.attempts.append(Attempt(step.code, output))
        run.figures += figures
    raise AssertionError("the analyst does not come to an end")


def execute(code: str, folder: Path) -> tuple[str, int]:
    """The tool's text for this code, and how many figures it showed."""
    outputs: list[dict[str, Any]] = []
    figures = 0
    printed = io.StringIO()

    def flush() -> None:
        if printed.getvalue():
            outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue()})
            printed.seek(0)
            printed.truncate()

    def display(value: Any) -> None:
        flush()
        data = {"text/plain": repr(value)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_()
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})

    def show() -> None:
        nonlocal figures
        flush()
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
            outputs.append({"output_type": "display_data", "data": {"image/png": PNG}, "metadata": {}})
            figures += 1
        plt.close("all")

    error = None
    before = Path.cwd()
    original = plt.show
    plt.show = show  # type: ignore[assignment]
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(printed), pd.option_context("display.float_format", None), quiet():
            tree = ast.parse(code)
            exec(compile(tree, "<cell>", "exec"), {"__name__": "__main__", "display": display})
    except Exception as problem:
        error = {
            "ename": type(problem).__name__,
            "evalue": str(problem),
            "traceback": traceback.format_exception_only(problem),
        }
    finally:
        os.chdir(before)
        plt.show = original
        plt.close("all")
    flush()
    if error:
        outputs.append({"output_type": "error", **error})
    return for_model(result(outputs, error), vision=False).text, figures


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Letters a font does not have are no mistake of the code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def result(outputs: list[dict[str, Any]], error: dict[str, Any] | None) -> Any:
    return {
        "status": "error" if error else "ok",
        "kernel_state": "kept",
        "execution_count": 1,
        "outputs": outputs,
        "error": error,
        "truncated": False,
        "spill": None,
        "files": [],
        "limit": None,
        "notice": None,
    }


def numbers(text: str) -> list[str]:
    """The numbers of a text, without thousands separators."""
    return [match.replace(",", "").rstrip(".") for match in NUMBER.findall(text)]
