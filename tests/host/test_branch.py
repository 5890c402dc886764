"""Branches of sessions: what they begin with, what neither notices of the other, and what becomes of them, at both levels."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from interpreting import OWNER, Bench, text
from test_travel import GREEDY, SEGFAULT, marked, pids_of, said, traveller, undo, wait_for

from cellblock.errors import BranchLimit, KernelBusy, KernelLimit, KernelNotFound, NoState, Unavailable
from cellblock.execution import Result
from cellblock.host.branching import Branching
from cellblock.host.environments import Engine
from cellblock.host.kernels import Kernel
from cellblock.host.launcher import Launcher
from cellblock.host.process import MOST_SEATS, Process
from cellblock.host.views import BranchView

__all__ = ["traveller"]

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def bench(traveller: Bench) -> AsyncIterator[Bench]:
    yield traveller
    await traveller.tidy()


async def branched(bench: Bench, kernel_id: str, at: Result | None = None, **options: Any) -> BranchView:
    view = await bench.interpreter.branch(OWNER, kernel_id, at=at and at["id"], **options)
    bench.kernels.append(view["id"])
    return view


async def branch(bench: Bench, kernel_id: str, at: Result | None = None, **options: Any) -> str:
    return (await branched(bench, kernel_id, at, **options))["id"]


async def content(bench: Bench, kernel_id: str, path: str) -> bytes:
    with await bench.interpreter.open_file(OWNER, kernel_id, path) as found:
        return await found.read(0, found.size)


async def write(bench: Bench, kernel_id: str, path: str, data: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    await bench.interpreter.write_file(OWNER, kernel_id, path, chunks())


def process(bench: Bench, kernel_id: str) -> Process:
    found = bench.process(kernel_id)
    assert isinstance(found, Process)
    return found


# what it begins with


async def test_a_branch_has_the_variables_of_now_and_neither_sees_the_other_change_them(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = [1]")
    twig = await branch(bench, trunk)
    assert twig != trunk
    await said(bench, twig, "x.append('branch')")
    await said(bench, trunk, "x.append('trunk')")
    assert await said(bench, twig, "print(x)") == "[1, 'branch']\n"
    assert await said(bench, trunk, "print(x)") == "[1, 'trunk']\n"


async def test_a_branch_may_begin_behind_an_execution_whose_state_is_kept(bench: Bench) -> None:
    trunk = await bench.kernel()
    first = await bench.run("x = 1", trunk)
    await said(bench, trunk, "x = 2")
    await said(bench, trunk, "x = 3")
    twig = await branch(bench, trunk, first)
    assert await said(bench, twig, "print(x)") == "1\n"
    assert await said(bench, trunk, "print(x)") == "3\n"
    await undo(bench, trunk)
    again = await branch(bench, trunk, first)  # the state is one still
    assert await said(bench, again, "print(x)") == "1\n"


async def test_branches_that_are_made_at_once_have_a_workspace_each(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 'trunk'; open('f', 'w').write(x)")
    twig = await branch(bench, trunk)
    await said(bench, twig, "x = 'twig'; open('f', 'w').write(x)")
    made = await asyncio.gather(branch(bench, trunk), branch(bench, twig))
    for leaf, whose in zip(made, ("trunk", "twig"), strict=True):
        assert await said(bench, leaf, "print(x, open('f').read())") == f"{whose} {whose}\n"
        await said(bench, leaf, "open('f', 'w').write('leaf')")
    places = [process(bench, each).lineage[-1] for each in (twig, *made)]
    assert len(set(places)) == 3
    assert await content(bench, trunk, "f") == b"trunk"


async def test_who_has_left_a_sandbox_takes_no_seat_there_by_asking_for_a_state(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    left = process(bench, trunk)
    await bench.interpreter.release(OWNER, trunk)
    left.close()
    with pytest.raises(Unavailable):
        await left.revive("a state", count=1)
    assert left.box.seats.keys() == {twig}


async def test_files_are_there_while_a_kernel_starts_in_another_home(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "open('f', 'w').write('trunk')")
    await branch(bench, trunk)
    launch, seen = Launcher.launch, list[bytes]()

    async def launching(launcher: Launcher, **asked: Any) -> Process:
        if asked["id"] == trunk:
            seen.append(await content(bench, trunk, "f"))
        return await launch(launcher, **asked)

    monkeypatch.setattr(Launcher, "launch", launching)
    await bench.interpreter.restart(OWNER, trunk)
    await said(bench, trunk, "open('f')")
    assert seen == [b"trunk"]


async def test_behind_the_last_execution_is_where_the_kernel_stands(bench: Bench) -> None:
    trunk = await bench.kernel()
    last = await bench.run("x = 1", trunk)
    assert await said(bench, await branch(bench, trunk, last), "print(x)") == "1\n"


async def test_an_undone_state_can_be_branched_from(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    last = await bench.run("x = 2", trunk)
    await undo(bench, trunk)
    view = await branched(bench, trunk, last)
    assert await said(bench, view["id"], "print(x)") == "2\n"
    assert await said(bench, trunk, "print(x)") == "1\n"
    assert True not in await marked(bench, view["id"])


async def test_a_state_that_is_not_kept_is_no_branch(bench: Bench) -> None:
    trunk = await bench.kernel()
    first = await bench.run("x = 1", trunk)
    await said(bench, trunk, "x = 2", snapshot="never")
    await said(bench, trunk, "x = 3")
    with pytest.raises(NoState):
        await branch(bench, trunk, first)
    with pytest.raises(NoState):
        await bench.interpreter.branch(OWNER, trunk, at="nothing")
    assert await said(bench, trunk, "print(x)") == "3\n"


async def test_a_state_that_was_killed_is_no_branch(bench: Bench) -> None:
    trunk = await bench.kernel()
    first = await bench.run("x = 1", trunk)
    second = await bench.run("x = 2", trunk)
    pids = await pids_of(bench, trunk)
    fd = os.pidfd_open(pids[second["id"]])
    os.kill(pids[second["id"]], signal.SIGKILL)
    await asyncio.to_thread(wait_for, fd)
    with pytest.raises(NoState):
        await branch(bench, trunk, first)
    assert process(bench, trunk).box.seats.keys() == {trunk}


async def test_a_kernel_that_is_not_there_has_no_branch(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    await bench.interpreter.release(OWNER, trunk)
    with pytest.raises(NoState):
        await branch(bench, trunk)


async def test_the_notebook_of_a_branch_ends_where_it_begins(bench: Bench) -> None:
    trunk = await bench.kernel(title="Sales")
    first = await bench.run("x = 1\nprint('one')", trunk)
    second = await bench.run("print('two')", trunk)
    await bench.interpreter.add_cell(OWNER, trunk, type="markdown", source="after the second")
    await bench.run("x = 5\nprint('again')", trunk, cell_id=first["cell_id"])
    view = await branched(bench, trunk, second, title="Another way")
    assert (view["title"], view["execution_count"]) == ("Another way", 2)
    assert view["branched_from"] == {"kernel_id": trunk, "execution_id": second["id"]}
    cells = (await bench.interpreter.notebook(OWNER, view["id"]))["cells"]
    assert [(cell["source"], cell["execution_count"]) for cell in cells] == [
        ("x = 1\nprint('one')", 1),
        ("print('two')", 2),
    ]
    assert cells[0]["outputs"][0]["text"] == "one\n"
    third = await bench.run("print(x)", view["id"])
    assert (text(third), third["execution_count"]) == ("1\n", 3)
    whole = await branched(bench, trunk)
    assert whole["title"] == "Sales"
    cells = (await bench.interpreter.notebook(OWNER, whole["id"]))["cells"]
    assert [cell["source"] for cell in cells] == ["x = 5\nprint('again')", "print('two')", "after the second"]


async def test_two_branches_draw_the_same_numbers_unless_asked(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "import random\nrandom.random()")
    twig, other = await branch(bench, trunk), await branch(bench, trunk, reseed=True)
    draws = [await said(bench, each, "print(random.random())") for each in (trunk, twig, other)]
    assert draws[0] == draws[1] != draws[2]


TEACH = """
ip = get_ipython()
ip.input_transformers_cleanup.append(lambda lines: [line.replace('unless', 'if not') for line in lines])
"""


async def test_a_branch_knows_the_syntax_that_its_original_was_taught(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, TEACH)
    assert await said(bench, await branch(bench, trunk), "unless 0: print('taught')") == "taught\n"


# files


async def test_a_branch_works_in_a_copy_of_the_files(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "open('a.txt', 'w').write('before')\nf = open('a.txt', 'r+')\nf.seek(3)")
    twig = await branch(bench, trunk)
    await said(bench, twig, "f.write('BRANCH'); f.close(); open('new.txt', 'w').write('new')")
    assert await content(bench, twig, "a.txt") == b"befBRANCH"
    assert await content(bench, trunk, "a.txt") == b"before"
    assert {entry["path"] for entry in await bench.interpreter.files(OWNER, trunk)} == {"a.txt"}
    await said(bench, trunk, "f.write('x'); f.close()")
    assert await content(bench, trunk, "a.txt") == b"befxre"
    assert await content(bench, twig, "a.txt") == b"befBRANCH"


async def test_the_files_of_a_branch_are_as_they_were_in_its_state(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "open('kept', 'w').write('first'); open('gone', 'w').write('here')")
    at = await bench.run("y = 1", trunk)
    await said(bench, trunk, "import os; open('kept', 'w').write('second'); os.remove('gone'); open('later', 'w')")
    view = await branched(bench, trunk, at)
    assert (view["not_restored"], view["notice"]) == ([], None)
    listed = await said(bench, view["id"], "import os; print(sorted(os.listdir()), open('kept').read())")
    assert listed == "['gone', 'kept'] first\n"
    assert await content(bench, trunk, "kept") == b"second"


ABSOLUTE = """
import os
place = os.getcwd()
def attempt(name, how):
    try:
        open(f'{place}/{name}', how)
        return 'opened'
    except PermissionError:
        return 'refused'
"""


async def test_a_path_of_the_original_is_refused_in_a_branch(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, f"{ABSOLUTE}\nopen('here', 'w').write('trunk')")
    twig = await branch(bench, trunk)
    assert await said(bench, twig, "print(attempt('here', 'r'), attempt('new', 'w'), os.getcwd() == place)") == (
        "refused refused False\n"
    )
    leaf = await branch(bench, twig)
    await said(bench, leaf, "print(attempt('here', 'r'))")
    await said(bench, twig, "place = os.getcwd()")
    leaf = await branch(bench, twig)
    assert await said(bench, leaf, "print(attempt('here', 'r'), attempt('new', 'w'), open('here').read())") == (
        "refused refused trunk\n"
    )
    assert {entry["path"] for entry in await bench.interpreter.files(OWNER, trunk)} == {"here"}


REPLACE = """
import os
here = os.getcwd()
slots = '/forks' if here == '/workspace' else os.path.dirname(here) + '/b'
def attempt(what, *arguments):
    try:
        what(*arguments)
        return 'done'
    except OSError as problem:
        return type(problem).__name__
print(attempt(os.rename, f'{slots}/1', f'{slots}/x'), attempt(os.rmdir, f'{slots}/2'), attempt(os.mkdir, f'{slots}/y'))
print(attempt(os.symlink, here, f'{slots}/1/w'))
"""


async def test_code_leads_no_branch_out_of_its_place_by_a_link(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "open('f', 'w').write('trunk')")
    refused, linked = (await said(bench, trunk, REPLACE)).splitlines()
    assert set(refused.split()) == {"PermissionError"}
    assert linked in ("done", "PermissionError")  # as the server's own user is, or as another
    twig = await branch(bench, trunk)
    await said(bench, twig, "open('f', 'w').write('twig')")
    assert [await content(bench, each, "f") for each in (trunk, twig)] == [b"trunk", b"twig"]


async def test_what_cannot_be_copied_is_named(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "import os; os.mkfifo('pipe'); os.symlink('a', 'link'); open('a', 'w').write('a')")
    view = await branched(bench, trunk)
    assert view["not_restored"] == ["pipe"]
    assert "pipe" in (view["notice"] or "")
    assert await said(bench, view["id"], "print(open('link').read())") == "a\n"


BUILT_IN = """
import _sqlite3, sqlite3
del _sqlite3.__file__
database = sqlite3.connect('own.db')
database.execute('create table t (a)')
database.commit()
"""
ADD = """
try:
    database.execute('insert into t values (1)')
    database.commit()
except sqlite3.Error as problem:
    print(type(problem).__name__)
print(database.execute('select * from t').fetchall())
"""


async def test_a_database_whose_library_shows_nothing_reads_in_a_branch_and_its_writing_is_refused(
    bench: Bench,
) -> None:
    """As where Python has sqlite built in."""
    trunk = await bench.kernel()
    await said(bench, trunk, BUILT_IN)
    twig = await branch(bench, trunk)
    assert await said(bench, twig, ADD) == "OperationalError\n[]\n"
    await said(bench, twig, "database.close(); database = sqlite3.connect('own.db')")
    assert await said(bench, twig, ADD) == "[(1,)]\n"
    assert await said(bench, trunk, ADD) == "[(1,)]\n"
    assert await said(bench, trunk, "import os; print(os.listdir())") == "['own.db']\n"


# a session like others


async def test_a_branch_undoes_and_redoes_on_its_own(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    with pytest.raises(NoState):
        await undo(bench, twig)
    await said(bench, trunk, "x = 'trunk'")
    await said(bench, twig, "x = 2; open('f', 'w')")
    await undo(bench, twig)
    assert await said(bench, twig, "print(x)", snapshot="never") == "1\n"
    assert await bench.interpreter.files(OWNER, twig) == []
    await said(bench, twig, "x = 3")
    await undo(bench, trunk)
    assert await said(bench, twig, "print(x)") == "3\n"
    assert await said(bench, trunk, "print(x)") == "1\n"
    await undo(bench, twig)
    await bench.interpreter.redo(OWNER, twig)
    assert await said(bench, twig, "print(x)") == "3\n"


async def test_a_branch_of_a_branch_outlives_both(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1; open('f', 'w').write('trunk')")
    twig = await branch(bench, trunk)
    await said(bench, twig, "x = 2; open('f', 'w').write('twig')")
    leaf = await branch(bench, twig)
    await bench.interpreter.delete(OWNER, trunk)
    await bench.interpreter.delete(OWNER, twig)
    assert await said(bench, leaf, "print(x, open('f').read())") == "2 twig\n"
    await undo(bench, leaf)
    assert await said(bench, leaf, "print(x, open('f').read())") == "2 twig\n"
    with pytest.raises(KernelNotFound):
        await bench.view(trunk)


async def test_a_restart_gives_a_branch_a_sandbox_of_its_own_with_its_files(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1; open('f', 'w').write('f')")
    twig = await branch(bench, trunk)
    await said(bench, twig, "open('g', 'w').write('g')")
    await bench.interpreter.restart(OWNER, twig)
    assert await said(bench, twig, "import os; print('x' in dir(), sorted(os.listdir()))") == "False ['f', 'g']\n"
    assert process(bench, twig).box is not process(bench, trunk).box
    assert await said(bench, trunk, "print(x)") == "1\n"
    again = await branch(bench, trunk)
    assert await said(bench, again, "import os; print(x, sorted(os.listdir()))") == "1 ['f']\n"


async def test_the_original_restarts_beside_its_branch(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1; open('f', 'w').write('trunk')")
    twig = await branch(bench, trunk)
    await bench.interpreter.restart(OWNER, trunk)
    assert await said(bench, trunk, "print('x' in dir(), open('f').read())") == "False trunk\n"
    assert await said(bench, twig, "x += 1; print(x, open('f').read())") == "2 trunk\n"
    await undo(bench, twig)
    assert await said(bench, twig, "print(x)") == "1\n"
    await said(bench, trunk, "y = 1")
    third = await branch(bench, trunk)
    assert await said(bench, third, "print(y, open('f').read())") == "1 trunk\n"
    await bench.interpreter.restart(OWNER, trunk)
    await bench.interpreter.delete(OWNER, twig)
    await bench.interpreter.delete(OWNER, third)
    assert await said(bench, trunk, "print(open('f').read())") == "trunk\n"
    homes = bench.interpreter.environments.homes
    again = homes.files(trunk).parent  # its second home besides its own, which is the branch's sandbox's still
    await bench.interpreter.delete(OWNER, trunk)
    await bench.interpreter.sessions.settled()
    assert homes.lodgers(homes.directory) == []
    assert not {trunk, again.name} & set(os.listdir(homes.directory))


async def test_a_branch_that_nobody_waits_for_any_more_leaves_nothing(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    making = asyncio.create_task(bench.interpreter.branch(OWNER, trunk))
    for _ in range(9):  # on its way
        await asyncio.sleep(0)
    making.cancel()
    await asyncio.wait([making])
    assert await said(bench, trunk, "print(x)") == "1\n"
    assert process(bench, trunk).box.seats.keys() == {trunk}
    homes = bench.interpreter.environments.homes
    assert homes.lodgers(homes.directory) == []
    assert not (homes.path(trunk) / "b/1/w").exists()


async def test_a_branch_that_was_just_made_when_who_asked_went_away_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    make = Branching.make

    async def made_too_late(turn: Branching) -> None:
        await make(turn)
        making.cancel()

    monkeypatch.setattr(Branching, "make", made_too_late)
    making = asyncio.create_task(bench.interpreter.branch(OWNER, trunk))
    await asyncio.wait([making])
    assert making.cancelled()
    await bench.interpreter.sessions.settled()
    assert process(bench, trunk).box.seats.keys() == {trunk}
    homes = bench.interpreter.environments.homes
    assert homes.lodgers(homes.directory) == []


async def test_code_that_waits_for_the_branch_to_be_made_is_not_said_to_wait_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = await bench.kernel()
    shown = await bench.run("x = 1; print('one')", trunk)
    make = Branching.make

    async def made_meanwhile(turn: Branching) -> None:
        await bench.submit("x = 2", trunk, cell_id=shown["cell_id"])
        await bench.submit("y = 3", trunk)
        await make(turn)

    monkeypatch.setattr(Branching, "make", made_meanwhile)
    twig = await branch(bench, trunk)
    cells = (await bench.interpreter.notebook(OWNER, twig))["cells"]
    assert [(each["source"], each["status"], each["execution_id"]) for each in cells] == [
        ("x = 1; print('one')", "ok", shown["id"]),
        ("y = 3", None, None),
    ]
    assert cells[0]["outputs"] == shown["outputs"]
    assert await said(bench, twig, "print(x, 'y' in globals())") == "1 False\n"
    assert await said(bench, trunk, "print(x, y)") == "2 3\n"


async def test_a_released_branch_keeps_its_files(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "open('f', 'w').write('f')")
    twig = await branch(bench, trunk)
    await said(bench, twig, "open('g', 'w').write('g')")
    await bench.interpreter.release(OWNER, twig)
    await bench.interpreter.delete(OWNER, trunk)
    assert await content(bench, twig, "g") == b"g"
    assert await said(bench, twig, "print(open('f').read())") == "f\n"


async def test_a_branch_comes_back_from_a_death_of_its_own(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    await said(bench, twig, "x = 2")
    died = await bench.run(SEGFAULT, twig)
    assert (died["status"], died["kernel_state"]) == ("kernel_died", "restored")
    assert await said(bench, twig, "print(x)") == "2\n"
    assert await said(bench, trunk, "print(x)") == "1\n"
    died = await bench.run(SEGFAULT, trunk)
    assert died["kernel_state"] == "restored"
    assert await said(bench, twig, "print(x)") == "2\n"


async def test_a_branch_that_runs_out_of_memory_is_the_one_that_is_ended(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    greedy = await bench.run(GREEDY, twig)
    ended = greedy["status"], greedy["kernel_state"]
    counted = process(bench, trunk).cgroups.get("version")  # else a MemoryError may come before the watchdog
    assert ended == ("out_of_memory", "restored") or (not counted and ended == ("error", "kept"))
    if ended == ("error", "kept"):  # it holds all that it could get, and the next cell may be one too many
        await bench.interpreter.restart(OWNER, twig)
        await said(bench, twig, "x = 1")
    assert [await said(bench, each, "print(x)") for each in (twig, trunk)] == ["1\n", "1\n"]


async def test_an_idle_branch_is_released_and_its_original_is_not(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    sessions = bench.interpreter.sessions
    next(each for each in sessions.live() if each.id == twig).last_used -= sessions.config.idle_timeout + 1
    await sessions.release_idle()
    assert [(await bench.view(each))["state"] for each in (trunk, twig)] == ["idle", "released"]
    assert await said(bench, trunk, "print(x)") == "1\n"


async def test_a_branch_without_states_that_dies_is_lost_alone(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    died = await bench.run(SEGFAULT, twig, snapshot="never")
    assert died["kernel_state"] == "lost"
    assert await said(bench, trunk, "print(x)") == "1\n"
    result = await bench.run("print('fresh')", twig)
    assert (text(result), "lost" in (result["notice"] or "")) == ("fresh\n", True)


async def test_an_interrupt_reaches_one_of_them(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    running = [
        await bench.submit("print('on', flush=True)\nimport time; time.sleep(20)", each) for each in (trunk, twig)
    ]
    for each in running:
        await bench.until(each, "stream")
    await bench.interpreter.interrupt(OWNER, twig)
    assert (await bench.wait(running[1]))["status"] == "interrupted"
    assert (await bench.interpreter.result(OWNER, running[0]["id"]))["status"] == "running"
    await bench.interpreter.interrupt(OWNER, trunk)
    assert (await bench.wait(running[0]))["status"] == "interrupted"


async def test_a_busy_kernel_is_not_branched(bench: Bench) -> None:
    trunk = await bench.kernel()
    running = await bench.submit("print('on', flush=True)\nimport time; time.sleep(20)", trunk)
    await bench.until(running, "stream")
    with pytest.raises(KernelBusy):
        await branch(bench, trunk)
    await bench.interpreter.interrupt(OWNER, trunk)
    await bench.wait(running)


async def test_two_branches_at_once_are_two(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    made = await asyncio.gather(branch(bench, trunk), branch(bench, trunk))
    assert len({*made, trunk}) == 3
    for number, each in enumerate(made):
        await said(bench, each, f"x += {number}")
    assert [await said(bench, each, "print(x)") for each in (trunk, *made)] == ["1\n", "1\n", "2\n"]


async def test_a_sandbox_has_room_for_a_few(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1", snapshot="never")
    twigs = [await branch(bench, trunk) for _ in range(MOST_SEATS - 1)]
    with pytest.raises(BranchLimit):
        await branch(bench, trunk)
    await bench.interpreter.delete(OWNER, twigs[0])
    assert await said(bench, await branch(bench, trunk), "print(x)") == "1\n"


async def test_a_branch_counts_as_a_kernel(bench: Bench) -> None:
    trunk = await bench.kernel()
    sessions = bench.interpreter.sessions
    limit, sessions.config = sessions.config, sessions.config
    held = sum(each.owner == OWNER and each.state != "released" for each in sessions.live())
    object.__setattr__(sessions.config, "kernels_per_owner", held)
    try:
        with pytest.raises(KernelLimit):
            await branch(bench, trunk)
    finally:
        object.__setattr__(limit, "kernels_per_owner", 20)


# faults


async def test_the_end_of_init_ends_both_and_each_says_so(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1; open('f', 'w').write('trunk')")
    twig = await branch(bench, trunk)
    await said(bench, twig, "open('g', 'w').write('twig')")
    deaths = [process(bench, each).death for each in (trunk, twig)]
    os.kill(process(bench, trunk).init, signal.SIGKILL)
    await asyncio.wait(deaths)
    results = [await bench.run("import os; print(sorted(os.listdir()))", each) for each in (twig, trunk)]
    assert [text(each) for each in results] == ["['f', 'g']\n", "['f']\n"]
    assert all("gone" in (each["notice"] or "") or "lost" in (each["notice"] or "") for each in results)


async def test_a_kill_of_either_kernel_is_that_ones_alone(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    await said(bench, twig, "x = 2")
    for each, back, other in ((twig, "1\n", trunk), (trunk, "1\n", twig)):
        death = process(bench, each).death
        bench.kill(each)
        await asyncio.wait([death])
        result = await bench.run("print(x)", each)
        assert (text(result), await said(bench, other, "print(x)")) == (back, "1\n")


async def test_the_original_that_is_deleted_while_it_is_branched_leaves_nothing_half(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    making = asyncio.create_task(bench.interpreter.branch(OWNER, trunk))
    await asyncio.sleep(0)
    await bench.interpreter.delete(OWNER, trunk)
    try:
        view = await making
    except KernelNotFound:
        assert trunk not in os.listdir(bench.interpreter.config.data_dir / "kernels")
        return
    bench.kernels.append(view["id"])
    assert await said(bench, view["id"], "print(x)") == "1\n"


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(("end", "problem"), [("restart", NoState), ("delete", KernelNotFound)])
async def test_a_branch_of_a_kernel_that_is_ended_meanwhile_says_what_there_is_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, end: str, problem: type[Exception], behind: bool
) -> None:
    trunk = await bench.kernel()
    first = await bench.run("x = 1", trunk)
    await said(bench, trunk, "x = 2")
    session = await bench.interpreter.sessions.get(OWNER, trunk)
    engine, making, go = session.engine, asyncio.Event(), asyncio.Event()
    assert isinstance(engine, Engine)
    real = engine.branch

    async def held(*given: Any, **named: Any) -> Kernel:
        making.set()
        await go.wait()
        return await real(*given, **named)

    monkeypatch.setattr(engine, "branch", held)
    asked = asyncio.create_task(bench.interpreter.branch(OWNER, trunk, at=first["id"] if behind else None))
    await making.wait()
    ending = asyncio.create_task(getattr(bench.interpreter, end)(OWNER, trunk))
    await asyncio.wait([process(bench, trunk).death])
    go.set()
    with pytest.raises(problem):
        await asked
    await ending


@pytest.mark.parametrize("turn", ["branch", "undo"])
async def test_what_waits_for_its_turn_when_the_session_is_deleted_finds_no_session(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, turn: str
) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    session = await bench.interpreter.sessions.get(OWNER, trunk)
    turns: asyncio.Queue[object] = asyncio.Queue()
    enqueue = session._enqueue
    monkeypatch.setattr(session, "_enqueue", lambda each: (enqueue(each), turns.put_nowait(each)))
    peeking = asyncio.create_task(bench.interpreter.peek(OWNER, trunk, "import time; time.sleep(60)", timeout=100))
    await turns.get()
    waiting = asyncio.create_task(getattr(bench.interpreter, turn)(OWNER, trunk))
    await turns.get()
    await bench.interpreter.delete(OWNER, trunk)
    with pytest.raises(KernelNotFound):
        await waiting
    with pytest.raises(Unavailable):
        await peeking


async def test_a_branch_may_begin_in_what_was_undone_and_the_way_forth_stays(bench: Bench) -> None:
    """That state is the former kernel itself, which sleeps."""
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    second = await bench.run("x = 2", trunk)
    await undo(bench, trunk)
    twig = await branch(bench, trunk, second)
    assert await said(bench, twig, "print(x)") == "2\n"
    assert await said(bench, twig, "x = 3; import os; print(os.system('true'))") == "0\n"
    await bench.interpreter.redo(OWNER, trunk)
    assert await said(bench, trunk, "print(x)") == "2\n"
