"""The catalogue of states: each survives an undo, a redo and a death of its kernel, or is told to have ended."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from interpreting import MIB, OWNER, Bench, small, text

from cellblock.execution import Result
from cellblock.host.interpreter import Interpreter
from states import PRELUDE, Case, cell, language, libraries, notebook, system

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = {
    "language": language.CASES,
    "system": [*system.CASES, *system.ENDS],
    "elsewhere": system.ELSEWHERE,
    "notebook": [*notebook.CASES, *notebook.ENDS],
    "libraries": libraries.CASES,
    "libraries that have ended": libraries.ENDS,
}
SEGFAULT = "\nimport ctypes; ctypes.string_at(0)"

Verdicts = dict[str, str]  # by a case's name


@dataclass
class Found:
    """What was said of all cases of a group: after making them, after the disturbance, and after each way back."""

    made: Verdicts
    disturbed: Verdicts
    asked: Verdicts
    redone: Verdicts
    undone: Verdicts
    died: Verdicts


def said(result: Result) -> Verdicts:
    """What a part of the cases has come to, or an AssertionError with what became of the cell."""
    for output in result["outputs"]:
        if found := output.get("data", {}).get("application/json"):
            return dict(found)
    raise AssertionError(result)


async def travelled(bench: Bench, cases: list[Case]) -> Found:
    """One kernel for all: made, disturbed, asked; back, forth, back again; and a death after another disturbance."""
    kernel_id = (await bench.interpreter.create(OWNER))["id"]

    async def run(part: str, last: str, code: str = "") -> Result:
        result = await bench.run(cell(cases, part, last=last) + code, kernel_id)
        assert code or result["status"] == "ok", result
        return result

    await bench.run(PRELUDE, kernel_id)
    made = said(await run("make", "made"))
    second = await run("disturb", "disturbed")
    asked = said(await run("check", "asked"))
    await bench.interpreter.undo(OWNER, kernel_id, to=second["id"])
    await bench.interpreter.redo(OWNER, kernel_id)
    redone = said(await run("check", "asked again"))
    await bench.interpreter.undo(OWNER, kernel_id, to=second["id"])
    third = await run("check", "asked after an undo")
    await bench.interpreter.undo(OWNER, kernel_id, to=third["id"])
    death = await run("disturb", "disturbed again", SEGFAULT)
    assert (death["status"], death["kernel_state"]) == ("kernel_died", "restored"), death
    died = said(await run("check", "asked after a death"))
    await bench.interpreter.delete(OWNER, kernel_id)
    return Found(made, said(second), asked, redone, said(third), died)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def traveller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """An interpreter with every library, that keeps the state before every cell."""
    config = small(
        tmp_path_factory.mktemp("states") / "data",
        snapshot="always",
        memory_limit=2048 * MIB,
        snapshot_limit=2048 * MIB,
        stdin_timeout=20.0,
    )
    interpreter = await Interpreter.start(config)
    try:
        await interpreter.ready()
        yield Bench(interpreter)
    finally:
        await interpreter.aclose()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def found(traveller: Bench) -> dict[str, Found]:
    """All groups, each gone through once."""
    return {group: await travelled(traveller, cases) for group, cases in GROUPS.items()}


EACH = [pytest.param(group, case, id=case.name.replace(" ", "-")) for group, cases in GROUPS.items() for case in cases]


SHARED = {"a server on a port"}  # with the original, as the network is: it listens there still


async def apart(bench: Bench, cases: list[Case]) -> dict[str, Verdicts]:
    """One kernel for all, and branches of it: one where they are disturbed, and one that is asked as the original is."""
    kernel_id = (await bench.interpreter.create(OWNER))["id"]

    async def run(which: str, part: str, last: str) -> Verdicts:
        result = await bench.run(cell(cases, part, last=last), which)
        assert result["status"] == "ok", result
        return said(result)

    await bench.run(PRELUDE, kernel_id)
    await run(kernel_id, "make", "made")
    first, second = [(await bench.interpreter.branch(OWNER, kernel_id))["id"] for _ in range(2)]
    await run(first, "disturb", "disturbed")
    found = {"original": await run(kernel_id, "check", "asked"), "branch": await run(second, "check", "asked")}
    for each in (kernel_id, first, second):
        await bench.interpreter.delete(OWNER, each)
    return found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def branched(traveller: Bench) -> dict[str, dict[str, Verdicts]]:
    return {group: await apart(traveller, cases) for group, cases in GROUPS.items()}


@pytest.mark.parametrize(("group", "case"), EACH)
async def test_it_is_in_a_branch_too_and_the_original_does_not_notice(
    branched: dict[str, dict[str, Verdicts]], group: str, case: Case
) -> None:
    found = branched[group]
    assert case.name in SHARED or found["branch"][case.name] == "true"
    assert (found["original"][case.name] == "true") is not case.ends


@pytest.mark.parametrize(("group", "case"), EACH)
async def test_it_survives_or_has_ended(found: dict[str, Found], group: str, case: Case) -> None:
    name, verdicts = case.name, found[group]
    assert {verdicts.made[name], verdicts.disturbed[name]} <= {"true", "untrue"}, "the case itself is broken"
    assert verdicts.asked[name] != "true", "the control: nobody has gone back"
    assert verdicts.redone[name] == "true" if case.ends else verdicts.redone[name] != "true", "after a redo"
    assert verdicts.undone[name] == "true", "after an undo"
    assert case.files or verdicts.died[name] == "true", "after a death"


# --- what works in a kernel that has gone back -----------------------------------------------------------------------

WORKS = {
    "an event loop": ("import asyncio; print(await asyncio.sleep(0.01, 'slept'))", "slept"),
    "tasks": ("print(await asyncio.gather(*(asyncio.sleep(0, n) for n in range(3))))", "[0, 1, 2]"),
    "a shell command": ("!echo from-a-shell", "from-a-shell"),
    "a cell of a shell": ("%%bash\necho from-bash", "from-bash"),
    "a program": ("import subprocess; print(subprocess.run(['echo', 'ran'], capture_output=True).stdout)", "b'ran\\n'"),
    "threads": ("import concurrent.futures as c; print(*c.ThreadPoolExecutor(3).map(abs, [-1, -2]))", "1 2"),
    "processes": (
        "import multiprocessing as mp\nwith mp.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))",
        "[1, 2]",
    ),
    "a loop of a thread's own": ("print(await asyncio.to_thread(lambda: asyncio.run(asyncio.sleep(0, 'own'))))", "own"),
    "an error and its traceback": ("try: 1 / 0\nexcept ZeroDivisionError as e: print(e)", "division by zero"),
    "an import": ("import wave; print(wave.__name__)", "wave"),
    "a figure": (
        "import matplotlib.pyplot as plt; f = plt.figure(); plt.plot([1, 2]); plt.show(); print('shown')",
        "shown",
    ),
    "a table": ("import pandas as pd; print(pd.DataFrame({'a': [1]}).to_string())", "a"),
    "a display that is updated": ("h = display('one', display_id=True); h.update('two')", "two"),
    "a comm": ("import comm; print(comm.create_comm(target_name='t').comm_id != '')", "True"),
    "the time of a cell": ("%time print('timed')", "timed"),
    "a socket": ("import socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))", "b'x'"),
}


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def gone_back(traveller: Bench) -> AsyncIterator[str]:
    """A kernel that has used all of it, has been undone, and then redone and undone again."""
    kernel_id = await traveller.kernel()
    await traveller.run("long_name = 1", kernel_id)
    for code, _ in list(WORKS.values())[-3:]:
        await traveller.run(code, kernel_id)
    for turn in (traveller.interpreter.undo, traveller.interpreter.redo, traveller.interpreter.undo):
        await turn(OWNER, kernel_id)
    yield kernel_id


@pytest.mark.parametrize("name", WORKS)
async def test_it_works_after_an_undo(traveller: Bench, gone_back: str, name: str) -> None:
    code, wanted = WORKS[name]
    result = await traveller.run(code, gone_back)
    assert (result["status"], result["kernel_state"]) == ("ok", "kept"), result
    assert wanted in text(result)
    if name == "a figure":
        assert any("image/png" in output.get("data", {}) for output in result["outputs"])


async def test_a_question_is_answered_after_an_undo(traveller: Bench, gone_back: str) -> None:
    asking = await traveller.submit("print('Hi', input('Who? '))", gone_back, allow_stdin=True)
    await traveller.until(asking, "input_request")
    await traveller.interpreter.answer(OWNER, asking["id"], "somebody")
    assert "Hi somebody" in text(await traveller.wait(asking))


async def test_code_is_interrupted_after_an_undo(traveller: Bench, gone_back: str) -> None:
    for code in ("print('on', flush=True)\nwhile True: pass", "print('on', flush=True)\nawait asyncio.sleep(60)"):
        running = await traveller.submit(code, gone_back)
        await traveller.until(running, "stream")
        await traveller.interpreter.interrupt(OWNER, gone_back)
        result = await traveller.wait(running)
        assert (result["status"], result["kernel_state"]) == ("interrupted", "kept")


async def test_names_are_completed_and_looked_at_after_an_undo(traveller: Bench, gone_back: str) -> None:
    found = await traveller.interpreter.complete(OWNER, gone_back, "long_na", 7)
    assert found["matches"] == ["long_name"]
    assert "long_name" in [each["name"] for each in await traveller.interpreter.variables(OWNER, gone_back)]


async def test_two_ways_from_one_state_draw_the_same_numbers(traveller: Bench) -> None:
    kernel_id = await traveller.kernel()
    await traveller.run("import random, numpy as np; np.random.random()", kernel_id)
    draw = "print(random.random(), np.random.normal(), np.random.default_rng(5).normal())"
    first = await traveller.run(draw, kernel_id)
    await traveller.interpreter.undo(OWNER, kernel_id)
    assert text(await traveller.run(draw, kernel_id)) == text(first)
