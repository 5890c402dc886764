"""`import cellblock` is light, and says what may be relied on."""

import json
import subprocess
import sys

import cellblock


def test_the_public_names_are_these_and_sorted() -> None:
    assert cellblock.__all__ == sorted(cellblock.__all__)
    assert dir(cellblock) == cellblock.__all__
    assert cellblock.__all__ == [
        "CellblockError",
        "Config",
        "Environment",
        "Event",
        "ExecuteRequest",
        "Interpreter",
        "Notebook",
        "Result",
        "Settings",
        "__version__",
        "create_app",
    ]


def test_every_public_name_can_be_had() -> None:
    assert all(getattr(cellblock, name) is not None for name in cellblock.__all__)


def test_another_name_is_an_attribute_error() -> None:
    assert not hasattr(cellblock, "nothing")


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import cellblock, json, sys; print(json.dumps([m for m in sys.modules if m.startswith('cellblock')]))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert sorted(json.loads(said)) == ["cellblock", "cellblock.version"]
