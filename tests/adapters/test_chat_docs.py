"""docs/tool.md says what happens: its schema is the tool's, its examples are run, in their order, in one kernel."""

import json
import re
from pathlib import Path

from chatting import config

from cellblock.adapters import tool, undo_tool
from cellblock.execution import Event
from cellblock.host.interpreter import Interpreter

PAGE = (Path(__file__).parents[2] / "docs" / "tool.md").read_text("utf-8")


def fenced(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def matches(expected: str, got: str) -> bool:
    """Whether `got` is what stands on the page, where `…` at the end of a line stands for its rest."""
    pattern = re.sub(r"…(?=\\?\n|\Z)", ".*", re.escape(expected))
    return re.fullmatch(pattern, got) is not None


def test_the_schema_on_the_page_is_the_tools() -> None:
    assert [json.loads(block) for block in fenced("json schema")] == [tool.SCHEMA]
    assert [json.loads(block) for block in fenced("json undo schema")] == [undo_tool.SCHEMA]


def test_the_limits_on_the_page_are_the_tools() -> None:
    assert f"At most {tool.TEXT:,} characters" in PAGE
    assert f"more than {tool.ROWS} rows" in PAGE
    assert "last four images of a call, up to 4 MiB" in PAGE
    assert (tool.IMAGES, tool.IMAGE_BYTES) == (4, 4 << 20)


async def test_every_example_gets_what_the_page_says(tmp_path: Path) -> None:
    async def ignore(_event: Event) -> None:
        pass

    examples = list(zip(fenced("python run"), fenced("text gets"), strict=True))
    assert len(examples) >= 7
    interpreter = await Interpreter.start(config(tmp_path))
    try:
        id = (await interpreter.create("local"))["id"]
        for code, expected in examples:
            done = await tool.run(interpreter, "local", id, code.rstrip(), ignore, vision=False)
            assert matches(expected.rstrip(), done.text), done.text
    finally:
        await interpreter.aclose()
