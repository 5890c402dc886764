"""The fork server: what it needs to start, what it is, and how it ends."""

import ast
import asyncio
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from client import PATIENCE, Client, Workbench, workbench
from conftest import ROOT

from cellblock.errors import CellblockError, KernelStartFailed
from cellblock.guest import linux, sandbox
from cellblock.guest.nursery import SPARES
from cellblock.host.launcher import Environment, Launcher, Process
from cellblock.messages import Launch, Level, Policy
from templates import FOUND

HERE = Path(__file__).resolve().parent


def children(pid: int) -> list[int]:
    """All descendants of a process, by /proc."""
    found = []
    for line in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(line), *children(int(line))]
    return found


async def ended(pids: list[int], fds: list[int]) -> None:
    """Waits until all processes behind these pidfds have ended."""
    for pid, fd in zip(pids, fds, strict=True):
        ready = await asyncio.to_thread(select.select, [fd], [], [], PATIENCE)
        os.close(fd)
        assert ready[0], f"{pid} still runs"


def offspring(pid: int) -> list[int]:
    """Its own children."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def trunk(launcher: int) -> tuple[int, int, int]:
    """Of a fork server at level full: the process inside, its nursery, and the template."""
    [inside] = offspring(launcher)
    nursery, template = offspring(inside)
    return inside, nursery, template


async def test_the_template_has_one_task_and_no_package_of_the_server(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full") as bench, bench.kernel():
        for pid in trunk(bench.launcher.pid):
            assert os.listdir(f"/proc/{pid}/task") == [str(pid)]
        loaded = set(bench.launcher.facts["modules"])
        assert "cellblock.guest.kernel" in loaded
        assert {name for name in loaded if not name.startswith("cellblock.guest")} == {
            "cellblock",
            "cellblock.messages",
            "cellblock.zmtp",
        }


async def test_what_tests_give_a_template_is_what_it_would_have_found(tmp_path: Path) -> None:
    async with workbench(tmp_path / "data", "full"):
        cache = tmp_path / "data/.template/python3/.cache/jedi"
        assert {path.name for path in cache.rglob("*.pkl")} == {path.name for path in FOUND.rglob("*.pkl")}


async def test_the_template_forks_kernels_and_hears_nothing_of_them(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench, bench.kernel() as client, bench.kernel() as other:
        _, _, template = trunk(bench.launcher.pid)
        assert {client.process.pid, other.process.pid} <= set(offspring(template))
        assert client.process.key.encode() in memory_of(client.process.pid)
        held = memory_of(template)
        assert b"cellblock.guest" in held
        for process in (client.process, other.process):
            assert process.key.encode() not in held
            assert process.home.name.encode() not in held
        assert other.process.key.encode() not in memory_of(client.process.pid)


def memory_of(pid: int) -> bytes:
    """What a process may write to."""
    held = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if " rw-p " in line:
                start, end = (int(each, 16) for each in line.split()[0].split("-"))
                memory.seek(start)
                held.append(memory.read(end - start))
    return b"".join(held)


async def test_only_what_is_allowed_reaches_the_fork_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBLOCK_TOKEN", "a-token-nobody-may-see")
    monkeypatch.setenv("GEMINI_API_KEY", "a-key-nobody-may-see")
    async with workbench(tmp_path, "full", preload=()) as bench:
        for pid in (bench.launcher.pid, *children(bench.launcher.pid)):
            names = {item.split(b"=")[0] for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if item}
            assert names <= {b"PATH", b"HOME", b"LANG", b"TZ"}
            assert b"nobody-may-see" not in Path(f"/proc/{pid}/cmdline").read_bytes()


# --- what it needs ---------------------------------------------------------------------------------------------------


async def test_another_interpreter_without_cellblock_runs_kernels(tmp_path: Path, open_environment: Path) -> None:
    async with workbench(tmp_path, "full", name="other", python=str(open_environment)) as bench:
        async with bench.kernel() as client:
            outcome = await client.run("import sys, pandas; print(sys.prefix)\nimport cellblock")
        assert outcome.text.strip() == str(open_environment.parent.parent)
        assert outcome.error == "ModuleNotFoundError"
        assert bench.launcher.facts["warming"] == []


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13"])
async def test_newer_interpreters_run_kernels(tmp_path: Path, version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")) or [shutil.which(f"python{version}")]
    if found[0] is None:
        pytest.skip(f"there is no Python {version} on this machine")
    place, uv = tmp_path / "env", [sys.executable, "-m", "uv"]
    await asyncio.to_thread(subprocess.run, [*uv, "venv", "-q", "--python", found[0], place], check=True)
    install = [
        *uv,
        "pip",
        "install",
        "-q",
        "--python",
        place / "bin" / "python",
        "-c",
        HERE.parents[1] / "constraints.txt",
    ]
    await asyncio.to_thread(subprocess.run, [*install, "ipykernel"], check=True)
    async with workbench(tmp_path / "data", "full", python=str(place / "bin" / "python")) as bench:
        assert set(bench.launcher.facts["missing"]) == {"numpy", "pandas", "matplotlib.pyplot"}
        assert bench.launcher.facts["warming"] == []
        async with bench.kernel() as client:
            assert version in (await client.run("import sys; print(sys.version)")).text
            running = asyncio.create_task(
                client.run("import asyncio; print('begun', flush=True); await asyncio.sleep(60)")
            )
            await client.begun.wait()
            client.process.interrupt()
            assert (await asyncio.wait_for(running, PATIENCE)).status == "error"


async def refusal(data: Path, level: str = "full", **environment: object) -> CellblockError:
    with pytest.raises(KernelStartFailed) as refused:
        await Launcher.start(Environment(**environment), data_dir=data, level=level, log=data / "log")  # type: ignore[arg-type]
    return refused.value


def bare_environment(place: Path, **modules: str) -> str:
    """An interpreter without packages, but for these modules and what the tests' own interpreter has."""
    venv.create(place, symlinks=True)
    site = next(place.glob("lib/python*/site-packages"))
    for name, source in modules.items():
        (site / f"{name}.py").write_text(source)
    if modules:
        own = next(path for path in sys.path if path.endswith("site-packages"))
        (site / "own.pth").write_text(own)
    return str(place / "bin" / "python")


async def test_without_mounts_data_among_the_interpreters_files_is_refused(tmp_path: Path) -> None:
    python = bare_environment(tmp_path)
    problem = await refusal(tmp_path / "data", level="unprivileged", python=python)
    assert "data directory" in str(problem)


async def test_an_environment_without_ipykernel_is_refused_by_name(tmp_path: Path) -> None:
    problem = await refusal(tmp_path, python=bare_environment(tmp_path / "env"))
    assert "ipykernel" in str(problem)


async def test_an_interpreter_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be run" in str(await refusal(tmp_path, python=str(tmp_path / "no-python")))


async def test_a_program_that_is_no_interpreter_is_refused(tmp_path: Path) -> None:
    assert "died at its start" in str(await refusal(tmp_path, python="/bin/true"))


async def test_a_preload_that_starts_a_thread_is_refused_by_name(tmp_path: Path) -> None:
    source = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    python = bare_environment(tmp_path / "env", threaded=source)
    problem = await refusal(tmp_path, level="off", python=python, preload=("threaded",))
    assert "preloading threaded started 1 threads" in str(problem)


async def test_a_preload_that_is_missing_is_told_and_left_out(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=("json", "not_a_module")) as bench:
        assert bench.launcher.facts["missing"] == ["not_a_module"]


# --- how it ends -----------------------------------------------------------------------------------------------------


async def test_when_the_fork_server_is_killed_its_kernels_end_and_it_is_noticed(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench:
        process = await bench.launch()
        pids = children(bench.launcher.pid)
        fds = [os.pidfd_open(pid) for pid in pids]
        os.kill(bench.launcher.pid, signal.SIGKILL)
        await asyncio.wait_for(asyncio.shield(bench.launcher.closed), PATIENCE)
        death = await asyncio.wait_for(asyncio.shield(process.death), PATIENCE)
        await ended(pids, fds)
        assert (death.status, death.out_of_memory) == (-signal.SIGKILL, False)
        with pytest.raises(KernelStartFailed, match="has ended"):
            await bench.launch()


@pytest.mark.parametrize("helper", [1, 2], ids=["nursery", "template"])
async def test_a_fork_server_ends_with_either_of_its_helpers(tmp_path: Path, helper: int) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench:
        await bench.launch()
        pids = children(bench.launcher.pid)
        fds = [os.pidfd_open(pid) for pid in pids]
        os.kill(trunk(bench.launcher.pid)[helper], signal.SIGKILL)
        await ended(pids, fds)


LONELY = """
import asyncio, sys
sys.path[:0] = sys.argv[1:4]
from client import workbench
from pathlib import Path
async def main():
    async with workbench(Path(sys.argv[4]), sys.argv[5], preload=()) as bench:
        process = await bench.launch()
        print(bench.launcher.pid, process.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("level", ["full", "off"])
async def test_when_the_server_dies_abruptly_everything_of_it_ends(tmp_path: Path, level: str) -> None:
    arguments = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "src"), str(tmp_path), level]
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", LONELY, *arguments, stdout=subprocess.PIPE)
    assert server.stdout
    launcher, kernel = map(int, (await asyncio.wait_for(server.stdout.readline(), PATIENCE)).split())
    pids = [launcher, *children(launcher)]
    assert kernel in pids
    fds = [os.pidfd_open(pid) for pid in pids]
    server.kill()
    await server.wait()
    await ended(pids, fds)


def census(pid: int) -> dict[str, int]:
    """What spawning might leave behind, on the server's side and the fork server's."""
    inside, _, template = trunk(pid)
    return {
        "own descriptors": len(os.listdir("/proc/self/fd")),
        "the fork server's descriptors": len(os.listdir(f"/proc/{inside}/fd")),
        "the template's descriptors": len(os.listdir(f"/proc/{template}/fd")),
        "mounts": len(Path(f"/proc/{inside}/mountinfo").read_text().splitlines()),
        "processes": len(children(pid)),
    }


async def settled(bench: Workbench) -> None:
    """A request that is refused has been answered, and its connection closed: all before it is done."""
    process = Process(bench.data, "", {})
    process.connect(bench.launcher._control, Launch("", "", 0, "", Policy("off")))
    await asyncio.wait_for(process.death, PATIENCE)


async def test_fifty_kernels_leave_nothing_behind(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench:
        await (await bench.launch()).stop()
        await settled(bench)
        before = census(bench.launcher.pid)
        for _ in range(10):
            processes = await asyncio.gather(*(bench.launch() for _ in range(5)))
            for process in processes:
                process.endpoint("shell")
            await asyncio.gather(*(process.stop() for process in processes))
        await settled(bench)
        assert census(bench.launcher.pid) == before
        groups = bench.launcher.facts["cgroups"]
    left = [group for path in groups.get("paths", {}).values() for group in Path(path).glob(f"{groups['token']}-*")]
    assert left == []


async def test_closing_ends_the_fork_server_with_its_kernels(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench:
        process = await bench.launch()
        pids = [bench.launcher.pid, *children(bench.launcher.pid)]
        fds = [os.pidfd_open(pid) for pid in pids]
    await ended(pids, fds)
    assert process.death.done()


@pytest.mark.parametrize("level", ["full", "unprivileged", "off"])
async def test_a_fork_server_takes_its_cgroups_with_it(tmp_path: Path, level: Level) -> None:
    async with workbench(tmp_path, level, preload=()) as bench:
        groups = bench.launcher.facts["cgroups"]
    left = [group for path in groups.get("paths", {}).values() for group in Path(path).glob(f"{groups['token']}-*")]
    assert left == []


async def test_a_kernel_cannot_be_launched_outside_the_data_directory(tmp_path: Path) -> None:
    async with workbench(tmp_path / "data", "full", preload=()) as bench:
        with pytest.raises(KernelStartFailed, match="data directory"):
            await bench.launch(home=tmp_path / "elsewhere")


async def test_eight_kernels_at_once_all_answer(tmp_path: Path) -> None:
    async with workbench(tmp_path / "Daten für Ada", "full", preload=()) as bench:
        processes = await asyncio.gather(*(bench.launch() for _ in range(8)))

        async def answer(number: int) -> str:
            async with Client(processes[number]) as client:
                return (await client.run(str(number))).value

        assert await asyncio.gather(*map(answer, range(8))) == [str(number) for number in range(8)]
        await asyncio.gather(*(process.stop() for process in processes))


# --- its helpers -----------------------------------------------------------------------------------------------------

NEWBORN = """
import os
from cellblock.guest import sandbox, template

def born(link, output):
    link.send(b"nobody hears this")

own = os.open("/proc/self/ns/pid", os.O_RDONLY)
made = template.Template.start(born, own)
made.connection.settimeout(10)
ours, theirs = sandbox.packet_pair()
ours.close()
forked = made.fork(theirs.fileno(), 1, own)
made.listen()
print(list(made.ended) == [(forked, 1)])
"""


ORPHANS = """
import os, select, socket, time
from cellblock.guest import forkserver, limits, linux, rendezvous
from cellblock.messages import Configure, Launch, Policy

linux.prctl(linux.CHILD_SUBREAPER, 1)
server = forkserver.ForkServer(rendezvous.Control(None, None, 0.0), Configure("e", "/nowhere", "off"))
reader, writer = os.pipe()

def child(stays):
    pid = os.fork()
    if pid == 0:
        other = os.fork()
        if other == 0:
            time.sleep(60)
        os.write(writer, b"%d " % other)
        time.sleep(60 if stays else 0)
        os._exit(1)
    server.children[pid] = forkserver.Child(*socket.socketpair(), Launch("", "", 0, "", Policy("off")), "")
    return pid, int(os.read(reader, 100))

lives, stays = child(stays=True)
fails, left = child(stays=False)
real = limits.descendants

def descendants(of):  # one ends, and is reaped, between the look and the blow
    ended = os.fork() or os._exit(0)
    os.waitpid(ended, 0)
    return real(of) | ({ended} if of == os.getpid() else set())

limits.descendants = descendants
server._ended(*[os.waitpid(fails, 0)[0], 1])
print(limits.is_zombie(left), limits.is_zombie(stays), list(server.children) == [lives])
for pid in (lives, stays, left):
    limits.is_zombie(pid) or os.kill(pid, 9)
"""


async def test_what_an_init_that_failed_has_left_ends_and_nothing_of_its_neighbours() -> None:
    assert await said(ORPHANS) == ["True False True"]


SEEN = """
import os, sys
from cellblock.guest import filesystem, linux, probe
data, *prefixes = sys.argv[1:]
usual = filesystem.interpreter_prefixes()
probe._user_namespace()
probe._mount_namespace()
filesystem.enter_base_root(data, [*usual, *prefixes])
seen = {path: sorted(os.listdir(path)) for path in (data, *prefixes, "/.host") if os.path.isdir(path)}
print([(path, seen.get(path)) for path in (data, *prefixes, "/.host")])
"""


async def test_a_data_directory_among_the_interpreters_files_is_hidden_by_whichever_name(tmp_path: Path) -> None:
    real, link = tmp_path / "app-1.2", tmp_path / "app"
    (real / "data").mkdir(parents=True)
    (real / "data" / "cellblock.db").touch()
    link.symlink_to(real)
    [seen] = await said(SEEN, str(real / "data"), str(link), str(real), str(link / "data"))
    found = dict(ast.literal_eval(seen))
    assert "cellblock.db" in found["/.host"]
    assert (found[str(real)], found[str(real / "data")]) == (["data"], [])
    assert (found[str(link)], found[str(link / "data")]) == (["data"], [])


async def test_an_interpreter_that_lies_in_the_data_directory_is_there_and_no_more_of_that(tmp_path: Path) -> None:
    data, prefix = tmp_path / "data", tmp_path / "data" / ".venv"
    (prefix / "bin").mkdir(parents=True)
    (data / "cellblock.db").touch()
    [seen] = await said(SEEN, str(data), str(prefix))
    found = dict(ast.literal_eval(seen))
    assert (found[str(data)], found[str(prefix)]) == ([".venv"], ["bin"])


@pytest.mark.skipif(not ROOT, reason="who is not root may not enter a PID namespace")
async def test_a_newborn_whose_init_has_gone_ends_and_is_no_second_template() -> None:
    assert await said(NEWBORN) == ["True"]


async def test_a_nursery_that_can_make_no_init_for_a_while_costs_no_kernel(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench, bench.kernel() as client:
        _, nursery, _ = trunk(bench.launcher.pid)
        usual = resource.prlimit(nursery, resource.RLIMIT_NOFILE)
        resource.prlimit(nursery, resource.RLIMIT_NOFILE, (3, usual[1]))
        for _ in range(SPARES):
            await (await bench.launch()).stop()
        with pytest.raises(KernelStartFailed, match="Too many open files"):
            await bench.launch()
        resource.prlimit(nursery, resource.RLIMIT_NOFILE, usual)
        async with bench.kernel() as other:
            assert [(await each.run("6 * 7")).value for each in (client, other)] == ["42", "42"]


async def test_an_init_that_ended_while_it_waited_is_given_to_no_kernel(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench:
        _, nursery, _ = trunk(bench.launcher.pid)
        waiting = offspring(nursery)
        fds = [os.pidfd_open(pid) for pid in waiting]
        for pid in waiting:
            os.kill(pid, signal.SIGKILL)
        await ended(waiting, fds)
        while any(Path(f"/proc/{pid}").exists() for pid in waiting):
            await settled(bench)  # until the nursery has reaped them, and the fork server heard of it
        await settled(bench)
        async with bench.kernel() as client:
            assert (await client.run("6 * 7")).value == "42"


async def said(program: str, *arguments: str) -> list[str]:
    """What a program prints, in a process of its own: what it forks by mistake is none of ours."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, *arguments, stdout=pipe, stderr=pipe)
    output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, errors.decode()
    return output.decode().splitlines()


# --- the list of steps -----------------------------------------------------------------------------------------------


def box(level: str) -> sandbox.Sandbox:
    policy = Policy(level)  # type: ignore[arg-type]
    return sandbox.Sandbox(policy, "/home", 1, False, [], b"", False, set())


def refuse(_: sandbox.Sandbox) -> None:
    raise PermissionError(1, "not permitted")


def test_the_first_step_that_fails_stops_the_list_and_is_named() -> None:
    taken: list[str] = []
    steps = [
        sandbox.Step("one", lambda _: taken.append("one")),
        sandbox.Step("two", refuse),
        sandbox.Step("three", lambda _: taken.append("three")),
    ]
    with pytest.raises(sandbox.StepFailed, match="two") as failed:
        sandbox.close(box("full"), steps)
    assert failed.value.step == "two"
    assert taken == ["one"]


def test_a_capability_that_cannot_be_dropped_stops_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(option: int, value: int = 0, other: int = 0) -> int:
        assert option == linux.CAPBSET_DROP
        raise PermissionError(1, "prctl: not permitted")

    monkeypatch.setattr(linux, "prctl", refused)
    [step] = [step for step in sandbox.INIT if step.name == "capabilities"]
    with pytest.raises(sandbox.StepFailed, match="capabilities"):
        sandbox.close(box("full"), [step])


STEPS = (*sandbox.SPARE, *sandbox.INIT, *sandbox.JOIN, *sandbox.KERNEL)


@pytest.mark.parametrize("level", ["full", "unprivileged", "off"])
def test_a_level_takes_its_own_steps(level: str) -> None:
    names = {step.name for step in STEPS if level in step.levels}
    shut = {"landlock", "seccomp", "capabilities"}
    assert (shut <= names) == (level != "off")
    assert ({"namespaces", "mounts", "user namespace"} <= names) == (level == "full")


def test_the_order_of_the_steps_is_the_designed_one() -> None:
    order = [step.name for step in (*sandbox.SPARE, *sandbox.INIT, *sandbox.KERNEL)]
    for earlier, later in [
        ("namespaces", "mounts"),
        ("mounts", "user"),
        ("descriptors", "user"),
        ("user", "user namespace"),
        ("user namespace", "capabilities"),
        ("capabilities", "landlock"),
        ("landlock", "seccomp"),
    ]:
        assert order.index(earlier) < order.index(later)
