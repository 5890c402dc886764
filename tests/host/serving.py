"""A server in a process of its own, as `test_restart` kills it: reads one Python expression a line, prints its JSON.

The expression may await, and sees `bench` (interpreting.Bench), `interpreter`, `printed` and OWNER. SIGTERM ends it cleanly.
"""

import ast
import asyncio
import inspect
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from interpreting import OWNER, Bench, small

from cellblock.execution import Result
from cellblock.host.environment import Environment, Spec
from cellblock.host.interpreter import Interpreter


async def printed(bench: Bench, result: Result, times: int = 1) -> list[str]:
    """What an execution has printed, after so many events of it."""
    seen: list[str] = []
    async for event in bench.interpreter.events(OWNER, result["id"]):
        if event["event"] == "stream":
            seen.append(event["content"]["text"])
            if len(seen) == times:
                return seen
    return seen


async def half_way_back(bench: Bench, kernel: str) -> None:
    """Returns as soon as a sandbox has been asked for the state before the last cell."""
    process: Any = (await bench.interpreter._session(OWNER, kernel)).kernel.process
    undo = asyncio.create_task(bench.interpreter.undo(OWNER, kernel))
    undo.add_done_callback(lambda task: task.exception())
    while process._heir is None:  # noqa: ASYNC110  (nothing tells: that is the moment that is wanted)
        await asyncio.sleep(0)


async def main(data: str, options: dict[str, Any]) -> None:
    if "preload" in options:
        options["environments"] = [Environment(preload=tuple(options.pop("preload")))]
    if "command" in options:
        spec = Spec(tuple(options.pop("command")), "another", "")
        options["kernelspecs"] = [Environment("foreign", "", (), spec=spec)]
    interpreter = await Interpreter.start(small(Path(data), **options))
    bench = Bench(interpreter)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        await interpreter.ready()
        print("ready", flush=True)
        asking = asyncio.create_task(answer({"bench": bench, "interpreter": interpreter}))
        await asyncio.wait([asking, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
    finally:
        await interpreter.aclose()


async def answer(names: dict[str, Any]) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        code = compile(line, "asked", "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        value = eval(code, {"OWNER": OWNER, "printed": printed, "half_way_back": half_way_back, "os": os} | names)
        if inspect.isawaitable(value):
            value = await value
        print("=" + json.dumps(value), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
