"""States that have to survive an undo, a redo and a revival after a death: a table of small cases, and how they are run.

A case makes a state, disturbs it, and asks. Its question is true before the disturbance and after an undo, and untrue
after the disturbance: that is the control. Where a state cannot come back, `ends` is set: the question then asks whether
it is gone in a clean way, and is untrue as long as nobody has gone back. Standard library only: kernels' code is text.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Code that runs in names of its own; `check` ends with an expression. `files`: it is in files, too: a cell that
    ends its kernel keeps what it wrote there, so that nothing is asked after a death. `modules`: what it needs to be there."""

    name: str
    make: str
    disturb: str
    check: str
    ends: bool = False
    files: bool = False
    modules: str = ""


PRELUDE = """
import ast, importlib.util, IPython.display
NAMES = {}

def run(name, code):
    names = NAMES.setdefault(name, {"__name__": "__main__"})
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    return eval(compile(ast.Expression(last.value), name, "eval"), names) if last else None

def verdict(name, code):
    try:
        return "true" if str(run(name, code)) == "True" else "untrue"  # numpy has a True of its own
    except BaseException as problem:
        return f"{type(problem).__name__}: {problem}"

def each(rows):
    found = {name: verdict(name, code) for name, code in rows.items()}
    IPython.display.display({"application/json": found, "text/plain": ""}, raw=True)
"""


def cell(cases: list[Case], part: str, *, last: str) -> str:
    """What runs one part of all cases, shows their verdicts, and ends with a value of its own."""
    rows = {case.name: getattr(case, part) for case in cases}
    return f"each({rows!r})\n{last!r}"
