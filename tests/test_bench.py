"""The bench's own page names every section and every option there is, and no other."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "bench.md").read_text()


def sections(name: str) -> set[object]:
    """The keys of a table of sections in `bench/__main__.py`."""
    tree = ast.parse((ROOT / "bench" / "__main__.py").read_text())
    tables = {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    table = tables[name]
    assert isinstance(table, ast.Dict)
    return {key.value for key in table.keys if isinstance(key, ast.Constant)}


def options() -> set[str]:
    tree = ast.parse((ROOT / "bench" / "figures.py").read_text())
    size = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Size")
    return {
        node.target.id for node in size.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


@pytest.mark.docs
def test_every_section_is_on_the_page_and_the_long_ones_are_marked() -> None:
    rows = dict(re.findall(r"^\| `(\w+)`( \(long\))? \|", PAGE, re.MULTILINE))
    assert {name for name, long in rows.items() if not long} == sections("SHORT")
    assert {name for name, long in rows.items() if long} == sections("LONG")


@pytest.mark.docs
def test_every_option_is_on_the_page() -> None:
    assert set(re.findall(r"`--(\w+)`", PAGE)) == options()
