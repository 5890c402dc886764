"""A kernel whose own tools lie, when they are asked to complete, to inspect, and to list variables."""

import pytest
from interpreting import OWNER, Bench

from cellblock.errors import Unavailable

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMPLETIONS = {
    "matches that are a number": "{'status': 'ok', 'matches': 7, 'cursor_start': 0, 'cursor_end': 0, 'metadata': {}}",
    "a match that is a list": "{'status': 'ok', 'matches': [[]], 'cursor_start': 0, 'cursor_end': 0, 'metadata': {}}",
    "a cursor that is a text": "{'status': 'ok', 'matches': [], 'cursor_start': 'x', 'cursor_end': 0, 'metadata': {}}",
    "a cursor below zero": "{'status': 'ok', 'matches': [], 'cursor_start': -1, 'cursor_end': 0, 'metadata': {}}",
    "nothing": "{}",
    "an error": "{'status': 'error', 'ename': 'E', 'evalue': '', 'traceback': []}",
}
INSPECTIONS = {
    "found that is a text": "{'status': 'ok', 'found': 'yes', 'data': {}, 'metadata': {}}",
    "data that is a list": "{'status': 'ok', 'found': True, 'data': [], 'metadata': {}}",
    "nothing": "{}",
}
LISTS = {
    "a number": "7",
    "an object": "{}",
    "no JSON": "[",
    "JSON nested without end": "[" * 20_000,
    "a name that is a number": '[{"name": 1, "type": "int", "preview": ""}]',
    "a variable that is a list": "[[]]",
    "a size below zero": '[{"name": "x", "type": "int", "preview": "", "size": -1}]',
    "a shape of texts": '[{"name": "x", "type": "int", "preview": "", "shape": ["a"]}]',
}


@pytest.mark.parametrize("lie", COMPLETIONS.values(), ids=COMPLETIONS.keys())
async def test_a_completion_that_is_none_completes_nothing(bench: Bench, lie: str) -> None:
    kernel_id = await bench.kernel()
    await bench.run("1", kernel_id)
    assert "print" in (await bench.interpreter.complete(OWNER, kernel_id, "prin", 4))["matches"]
    await bench.run(f"get_ipython().kernel.do_complete = lambda *_: {lie}", kernel_id)
    told = await bench.interpreter.complete(OWNER, kernel_id, "prin", 4)
    assert told == {"status": "ok", "matches": [], "cursor_start": 4, "cursor_end": 4, "metadata": {}}


@pytest.mark.parametrize("lie", INSPECTIONS.values(), ids=INSPECTIONS.keys())
async def test_an_inspection_that_is_none_finds_nothing(bench: Bench, lie: str) -> None:
    kernel_id = await bench.kernel()
    await bench.run("1", kernel_id)
    assert (await bench.interpreter.inspect(OWNER, kernel_id, "print", 5))["found"]
    await bench.run(f"get_ipython().kernel.do_inspect = lambda *_, **__: {lie}", kernel_id)
    told = await bench.interpreter.inspect(OWNER, kernel_id, "print", 5)
    assert told == {"status": "ok", "found": False, "data": {}, "metadata": {}}


async def test_a_completion_too_deep_breaks_the_protocol_and_the_kernel_comes_back(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    deep = "{'status': 'ok', 'matches': [], 'metadata': __import__('json').loads('[' * 100 + ']' * 100)}"
    await bench.run(f"get_ipython().kernel.do_complete = lambda *_: {deep}", kernel_id)
    assert (await bench.interpreter.complete(OWNER, kernel_id, "prin", 4))["matches"] == []
    result = await bench.run("1", kernel_id)
    assert result["status"] == "ok"


@pytest.mark.parametrize("lie", LISTS.values(), ids=LISTS.keys())
async def test_a_list_of_variables_that_is_none_is_said_to_be_none(bench: Bench, lie: str) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    assert [each["name"] for each in await bench.interpreter.variables(OWNER, kernel_id)] == ["x"]
    await bench.run(f"import builtins; say = print; builtins.print = lambda *_: say({lie!r})", kernel_id)
    with pytest.raises(Unavailable, match="no list of variables"):
        await bench.interpreter.variables(OWNER, kernel_id)
    assert (await bench.run("x", kernel_id))["status"] == "ok"
