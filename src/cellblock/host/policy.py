"""Code looked at before it runs: a syntax error is told without a kernel, an operator's list is enforced as a courtesy.

It is no boundary: `getattr` and `exec` go around any list. The sandbox is the boundary. Whatever cannot be judged here
(other languages, code too large or nested too deep) is the kernel's to judge.
"""

import ast
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.inputtransformer2 import TransformerManager

INLINE = 16 << 10  # characters compiled at once on the event loop's thread: a few milliseconds
JUDGED = 256 << 10
FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
OWN_SYNTAX = ("input_transformer", "load_ext")  # code that may teach its kernel a syntax of its own
PYTHON_MAGICS = frozenset({"time", "timeit", "capture", "prun", "python3"})
MAGIC_CALLS = {"run_line_magic": "", "run_cell_magic": "", "system": "!", "getoutput": "!", "set_custom_exc": ""}


@dataclass(frozen=True, slots=True)
class CodeRules:
    """What an operator refuses: modules (with all below them), dotted calls, IPython magics (`!` is shell escapes)."""

    modules: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    magics: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.modules or self.calls or self.magics)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The operator's list has it: `reason` is a sentence, `rule` the entry."""

    rule: str
    reason: str


Verdict = Refusal | SyntaxError | None


@lru_cache(maxsize=1)
def transformer() -> "TransformerManager":
    """IPython's own source transformation. Importing it takes 0.3 s: done once, ahead of the first request."""
    from IPython.core.inputtransformer2 import TransformerManager

    made: TransformerManager = TransformerManager()  # type: ignore[no-untyped-call]
    return made


def judge(code: str, rules: CodeRules, *, same_python: bool) -> Verdict:
    """What is wrong with the code, if anything. `same_python`: the environment's Python has the server's grammar."""
    if len(code) > JUDGED or (not same_python and not rules):
        return None
    try:
        tree = parse(code)
    except SyntaxError as problem:
        return problem if same_python else None
    except (RecursionError, MemoryError, ValueError, OverflowError, SystemError):  # SystemError: 3.11, at its depth
        return None
    try:
        return first_refusal(tree, rules) if rules else None
    except RecursionError:
        return Refusal("nesting", "The code is nested too deep to be looked at, and this server has a list of rules.")


def speaks_own_syntax(code: str) -> bool:
    """Whether the code may change what its kernel takes for Python: from then on only the kernel judges syntax."""
    return any(word in code for word in OWN_SYNTAX)


def parse(code: str) -> ast.Module:
    """The tree of a cell after IPython's transformation; SyntaxError when it is no Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = transformer().transform_cell(code)
        tree: ast.Module = compile(source, "<cell>", "exec", FLAGS, dont_inherit=True)
        try:
            compile(tree, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except SyntaxError as problem:
            raise with_text(problem, source) from None
    return tree


def with_text(problem: SyntaxError, source: str) -> SyntaxError:
    """The error with the line it is about: what only the second half of the compiler finds comes without."""
    lines = source.splitlines()
    if problem.text is None and problem.lineno and problem.lineno <= len(lines):
        problem.text = lines[problem.lineno - 1]
    return problem


def same_grammar(version: str) -> bool:
    """Whether `version` ("3.11.7", of an environment) has the grammar of the server's Python."""
    return version.split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def first_refusal(tree: ast.AST, rules: CodeRules) -> Refusal | None:
    """The first use of something forbidden, in no particular order."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        for module, bound, full in imported(node):
            names[bound] = full
            if rule := matching(module, rules.modules) or matching(full, rules.modules):
                return Refusal(rule, f"This server's operator does not allow the module {rule!r}.")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (refusal := refused_call(node, names, rules)):
            return refusal
    return None


def imported(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """(module, the name it is bound to, what that name stands for) for each name an import statement binds."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.name, alias.asname or top, alias.name if alias.asname else top
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        for alias in node.names:
            yield node.module, alias.asname or alias.name, f"{node.module}.{alias.name}"


def refused_call(node: ast.Call, names: dict[str, str], rules: CodeRules) -> Refusal | None:
    if (magic := magic_of(node)) is not None:
        return refused_magic(node, magic, rules)
    called = dotted(node.func, names)
    if called in rules.calls:
        return Refusal(called, f"This server's operator does not allow {called}().")
    imports = called in ("__import__", "importlib.import_module")
    if imports and (rule := matching(text_of(node, 0), rules.modules)):
        return Refusal(rule, f"This server's operator does not allow the module {rule!r}.")
    return None


def refused_magic(node: ast.Call, magic: str, rules: CodeRules) -> Refusal | None:
    if magic in rules.magics:
        shown = magic if magic == "!" else f"%{magic}"
        return Refusal(magic, f"This server's operator does not allow {shown} in a cell.")
    if magic not in PYTHON_MAGICS:
        return None
    for index in range(1, len(node.args)):
        verdict = judge(text_of(node, index), rules, same_python=False)
        if isinstance(verdict, Refusal):
            return verdict
    return None


def magic_of(node: ast.Call) -> str | None:
    """The magic that a transformed line stands for: `get_ipython().run_line_magic('time', …)` → `time`."""
    method = node.func
    if not isinstance(method, ast.Attribute) or method.attr not in MAGIC_CALLS:
        return None
    if not isinstance(method.value, ast.Call) or dotted(method.value.func, {}) != "get_ipython":
        return None
    return MAGIC_CALLS[method.attr] or text_of(node, 0)


def text_of(node: ast.Call, index: int) -> str:
    """The text of a literal argument; empty when it is none."""
    argument = node.args[index] if len(node.args) > index else None
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`a.b.c` of a name or attribute, imported names resolved; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def matching(module: str, forbidden: tuple[str, ...]) -> str:
    """The entry that is the module or a package above it; empty when there is none."""
    return next((rule for rule in forbidden if module == rule or module.startswith(rule + ".")), "")
