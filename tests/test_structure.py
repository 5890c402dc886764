"""The shape the design asks for: each module says its rule first, and neither modules nor functions outgrow a reader."""

import ast
import statistics
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "cellblock"
MODULES = sorted(SOURCE.rglob("*.py"))


def lengths() -> list[int]:
    """Lines of every function."""
    trees = (ast.parse(module.read_text()) for module in MODULES)
    functions = (
        node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)


@pytest.mark.docs
def test_every_module_opens_with_its_rule() -> None:
    without = [
        str(module.relative_to(SOURCE)) for module in MODULES if not ast.get_docstring(ast.parse(module.read_text()))
    ]
    assert without == []


@pytest.mark.docs
def test_no_module_outgrows_its_name() -> None:
    sizes = {str(module.relative_to(SOURCE)): len(module.read_text().splitlines()) for module in MODULES}
    assert {name: size for name, size in sizes.items() if size > 600} == {}
    assert statistics.median(sizes.values()) <= 200


@pytest.mark.docs
def test_functions_fit_a_glance() -> None:
    found = lengths()
    assert statistics.median(found) <= 10
    assert found[int(len(found) * 0.9)] <= 35
