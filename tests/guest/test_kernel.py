"""One kernel, seen over its channels: what it sends, what it inherits, how it dies."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from client import PATIENCE, Client, Workbench, workbench

from cellblock.errors import KernelStartFailed
from cellblock.host.death import Death
from cellblock.host.launcher import run_guest
from cellblock.messages import MAX_DISPLAY, MAX_STREAM

pytestmark = pytest.mark.asyncio(loop_scope="module")
SECRET = "a-token-nobody-may-see"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workbench]:
    """The server's own interpreter, at the best level of this host, started by a server with a secret."""
    os.environ["CELLBLOCK_TOKEN"] = SECRET
    async with workbench(tmp_path_factory.mktemp("data"), "full") as made:
        yield made
    del os.environ["CELLBLOCK_TOKEN"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(bench: Workbench) -> AsyncIterator[Client]:
    """A kernel for cells that leave it as it was."""
    async with bench.kernel() as made:
        yield made


# --- what it sends ---------------------------------------------------------------------------------------------------


async def test_a_huge_print_arrives_whole_in_small_messages(client: Client) -> None:
    outcome = await client.run("print('x' * 50_000_000)")
    streams = [m for m in outcome.messages if m["msg_type"] == "stream"]
    assert len(outcome.text) == 50_000_001
    assert max(m["size"] for m in streams) <= MAX_STREAM


async def test_characters_that_json_escapes_do_not_make_a_message_larger(client: Client) -> None:
    outcome = await client.run("print('\\x01' * 1_000_000)\nprint('😀' * 200_000)")
    assert len(outcome.text) == 1_200_002
    assert max(m["size"] for m in outcome.messages) <= MAX_STREAM


async def test_many_flushed_prints_all_arrive_and_then_idle(client: Client) -> None:
    outcome = await client.run("for n in range(5000): print(n, flush=True)")
    assert outcome.text.split() == [str(n) for n in range(5000)]


async def test_a_descriptor_that_code_has_closed_is_not_read_for_ever(bench: Workbench) -> None:
    """It took a processor for as long as the kernel lived."""
    watched = "sys.stdout._pipe in sys.stdout.pub_thread.io_loop.asyncio_loop._selector.get_map()"
    async with bench.kernel() as client:
        assert (await client.run(f"import os, sys\nprint({watched})")).text == "True\n"
        outcome = await client.run(f"os.close(1)\nprint(1, flush=True)\nprint(2, flush=True)\nprint({watched})")
        assert outcome.text == "1\n2\nFalse\n"


async def test_a_display_that_is_too_large_becomes_an_error_output(client: Client) -> None:
    outcome = await client.run(
        f"from IPython.display import HTML, display\ndisplay(HTML('x' * {MAX_DISPLAY}))\nprint('on')"
    )
    assert outcome.of("display_data") == []
    assert outcome.of("error")[0]["ename"] == "OutputTooLarge"
    assert outcome.text == "on\n"


async def test_an_error_that_is_too_large_still_ends_the_cell(client: Client) -> None:
    outcome = await client.run(f"raise ValueError('x' * {MAX_DISPLAY})")
    assert outcome.status == "error"
    assert max(m["size"] for m in outcome.messages) <= MAX_DISPLAY


async def test_input_is_answered_over_the_stdin_channel(client: Client) -> None:
    assert (await client.run("print(input('name? ').upper())", answers=["ada"])).text == "ADA\n"


async def test_input_that_nobody_may_answer_is_an_error(client: Client) -> None:
    assert (await client.run("input()")).error == "StdinNotImplementedError"


async def test_a_shell_command_has_a_terminal_of_its_own(client: Client) -> None:
    assert "/dev/pts/" in (await client.run("!tty")).text


async def test_a_last_expression_is_a_result_and_counts(client: Client) -> None:
    outcome = await client.run("40 + 2")
    assert outcome.value == "42"
    assert outcome.of("execute_result")[0]["execution_count"] == outcome.reply["execution_count"]


async def test_plotly_and_altair_show_data_that_needs_no_script(client: Client) -> None:
    code = "import plotly.express as px, altair as alt, pandas as pd\nd = pd.DataFrame({'a': [1], 'b': [2]})\n"
    shown = await client.run(
        code + "display(alt.Chart(d).mark_bar().encode(x='a', y='b'))\npx.bar(d, x='a', y='b').show()"
    )
    kinds = {kind for output in shown.of("display_data") for kind in output["data"]}
    assert "application/vnd.plotly.v1+json" in kinds, str(shown)
    assert any(kind.startswith("application/vnd.vegalite.v") for kind in kinds)
    assert "text/html" not in kinds


async def test_a_figure_is_shown_without_being_asked_for(client: Client) -> None:
    outcome = await client.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    png = outcome.of("display_data")[0]["data"]["image/png"]
    assert base64.b64decode(png).startswith(b"\x89PNG")


LEAVES_A_TASK = """
import asyncio, threading
from IPython.display import display
go = asyncio.Event()
handle = display('waiting', display_id=True)
async def later():
    await go.wait()
    print('from a task of before')
    display('shown')
    handle.update('updated')
task = asyncio.create_task(later())
"""


async def test_what_a_task_says_after_its_cell_has_ended_is_said_in_the_cell_that_runs_then(client: Client) -> None:
    await client.run(LEAVES_A_TASK)
    later = await client.run("print('first')\ngo.set()\nawait task\nprint('last')")
    assert later.text == "first\nfrom a task of before\nlast\n"
    assert [shown["data"]["text/plain"] for shown in later.of("display_data")] == ["'shown'"]
    assert [shown["data"]["text/plain"] for shown in later.of("update_display_data")] == ["'updated'"]


async def test_what_a_thread_says_after_its_cell_has_ended_is_said_in_the_cell_that_runs_then(client: Client) -> None:
    code = "import threading\nstart = threading.Event()\n"
    await client.run(code + "t = threading.Thread(target=lambda: (start.wait(), print('from a thread'))); t.start()")
    assert (await client.run("start.set(); t.join()")).text == "from a thread\n"


async def test_completion_and_inspection_answer(client: Client) -> None:
    await client.run("import pandas as pd")
    completed = await client.request("complete_request", {"code": "pd.read_cs", "cursor_pos": 10})
    assert "read_csv" in completed["matches"]
    inspected = await client.request("inspect_request", {"code": "pd.read_csv", "cursor_pos": 11, "detail_level": 0})
    assert "Signature" in inspected["data"]["text/plain"]


async def test_a_kernel_that_shuts_itself_down_has_ended_in_order(bench: Workbench) -> None:
    async with bench.kernel() as client:
        await client.run("exit()")
        assert (await death(client)).status == 0


# --- what it inherits ------------------------------------------------------------------------------------------------


async def test_no_secret_of_the_server_is_in_an_environment_or_a_command_line(client: Client) -> None:
    code = "import os, pathlib\nfor p in pathlib.Path('/proc').glob('[0-9]*'):\n    for f in ('environ', 'cmdline'):\n"
    code += "        try: print((p / f).read_bytes())\n        except OSError: pass\nprint(dict(os.environ))"
    text = (await client.run(code)).text
    assert "LANG" in text
    assert SECRET not in text
    assert "CELLBLOCK" not in text


async def test_two_kernels_do_not_draw_the_same_numbers(bench: Workbench) -> None:
    code = "import random, numpy, uuid, tempfile as t\n"
    code += "print(random.random(), numpy.random.rand(), uuid.uuid4(), t.mktemp())"
    async with bench.kernel() as one, bench.kernel() as other:
        drawn = [(await client.run(code)).text.split() for client in (one, other)]
    assert not set(drawn[0]) & set(drawn[1])


async def test_no_package_of_the_server_is_loaded_and_the_guest_is_out_of_sight(client: Client) -> None:
    names = json.loads((await client.run("import sys, json; print(json.dumps(sorted(sys.modules)))")).text)
    roots = {name.split(".")[0] for name in names}
    assert not roots & {"cellblock", "fastapi", "starlette", "uvicorn", "sqlalchemy", "pydantic", "httpx", "anyio"}


async def test_what_is_slow_at_first_use_is_there_before_it(bench: Workbench) -> None:
    async with bench.kernel() as client:
        slow = {"ipykernel.debugger", "jedi", "pexpect", "matplotlib.font_manager"}
        assert (await client.run(f"import sys; {slow} - set(sys.modules)")).value == "set()"


async def test_names_of_the_warming_cells_are_forgotten(bench: Workbench) -> None:
    async with bench.kernel() as client:
        assert (await client.run("[n for n in ('df', 'pd', 'np', 'plt', 'x') if n in globals()]")).value == "[]"
        assert (await client.run("1")).reply["execution_count"] == 2


async def test_a_new_namespace_is_what_a_plain_kernel_begins_with(bench: Workbench) -> None:
    async with bench.kernel() as client:
        code = "import sys\n[_, _i, _ii, _iii, _dh, __spec__, sys.modules['__main__'].__spec__]"
        assert (await client.run(code)).value == "['', '', '', '', [PosixPath('/workspace')], None, None]"


async def test_changing_the_directory_works_and_leads_back(bench: Workbench) -> None:
    async with bench.kernel() as client:
        moved = await client.run("%cd -q /tmp\n%cd -q -\n%bookmark here\n%cd -q\n%pwd")
        assert (moved.status, moved.value) == ("ok", "'/tmp'")
        back = await client.run("%cd -q -b here\n%pwd")
        assert (back.status, back.value) == ("ok", "'/workspace'")


async def test_libraries_keep_their_settings_in_a_home_that_can_be_written(client: Client) -> None:
    code = "import matplotlib, os\nopen(matplotlib.get_configdir() + '/probe', 'w')\n"
    code += "print(os.getcwd(), os.path.expanduser('~'))"
    assert (await client.run(code)).text.split() == ["/workspace", "/tmp"]


async def test_the_kernel_is_alone_with_its_init(bench: Workbench) -> None:
    async with bench.kernel() as client:
        code = "import os; print([int(p) for p in os.listdir('/proc') if p.isdigit()], os.getppid(), os.getuid())"
        assert (await client.run(code)).text == "[1, 2] 0 1000\n"  # its parent is the fork server, which it cannot see


async def test_no_descriptor_of_another_is_open(bench: Workbench) -> None:
    async with bench.kernel() as client:
        code = "import os\nfor f in os.listdir('/proc/self/fd'):\n    try: print(os.readlink('/proc/self/fd/' + f))\n"
        code += "    except OSError: pass"
        links = (await client.run(code)).text.split()
    kinds = {link.split(":")[0] for link in links}
    assert kinds <= {"pipe", "socket", "anon_inode", "/dev/null", "/proc/2/fd"}, kinds


# --- deaths ----------------------------------------------------------------------------------------------------------


async def death(client: Client) -> Death:
    return await asyncio.wait_for(asyncio.shield(client.process.death), PATIENCE)


async def died(bench: Workbench, code: str, **changes: int) -> Death:
    async with bench.kernel(**changes) as client:
        running = asyncio.create_task(client.run(code))
        found = await death(client)
        running.cancel()
        return found


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import os; os._exit(3)", 3),
        ("import os; os._exit(0)", 0),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.abort()", -signal.SIGABRT),
    ],
)
async def test_a_death_tells_its_status_and_is_not_blamed_on_memory(bench: Workbench, code: str, status: int) -> None:
    found = await died(bench, code)
    assert (found.status, found.out_of_memory) == (status, False)


async def test_a_kernel_killed_from_outside_is_noticed(bench: Workbench) -> None:
    async with bench.kernel() as client:
        os.kill(client.process.pid, signal.SIGKILL)
        assert (await death(client)).status == -signal.SIGKILL


async def test_out_of_memory_is_told_with_its_peak(bench: Workbench) -> None:
    code = "x = []\nwhile True: x.append(bytearray(20 << 20))"
    if bench.launcher.facts["cgroups"]["version"] is None:  # RLIMIT_DATA holds one process, and the kernel lives
        async with bench.kernel(memory=300 << 20) as client:
            assert (await client.run(code)).error == "MemoryError"
        return
    found = await died(bench, code, memory=300 << 20)
    assert found.out_of_memory
    assert found.memory_peak > 250 << 20


FILL_SHARED = (
    "with open('/dev/shm/large', 'wb') as f:\n    for _ in range({mib}): f.write(bytes(1 << 20))\nprint(f.closed)"
)


async def test_shared_memory_is_as_large_as_memory_where_a_cgroup_counts_it(bench: Workbench) -> None:
    grouped = bench.launcher.facts["cgroups"]["version"] is not None
    async with bench.kernel(memory=300 << 20, tmp=16 << 20) as client:
        code = "import os; s = os.statvfs('/dev/shm'); s.f_blocks * s.f_frsize >> 20"
        assert (await client.run(code)).value == ("300" if grouped else "16")
        outcome = await client.run(FILL_SHARED.format(mib=100))
        assert (outcome.text, outcome.error) == (("True\n", "") if grouped else ("", "OSError"))
    if grouped:
        assert (await died(bench, FILL_SHARED.format(mib=400), memory=300 << 20)).out_of_memory


async def test_a_stop_is_not_out_of_memory_and_may_be_repeated(bench: Workbench) -> None:
    process = await bench.launch()
    await process.stop()
    await process.stop()
    assert process.death.result() == Death(-signal.SIGKILL, False, process.death.result().memory_peak)
    process.interrupt()


async def test_other_kernels_do_not_notice_a_death(bench: Workbench) -> None:
    async with bench.kernel() as survivor:
        await survivor.run("x = 1")
        await died(bench, "import os; os._exit(1)")
        assert (await survivor.run("x")).value == "1"


# --- what the host sees ----------------------------------------------------------------------------------------------


async def test_usage_grows_with_what_the_cell_takes(client: Client) -> None:
    before = client.process.usage()
    await client.run("big = bytearray(64 << 20)\nfor _ in range(10**7): pass")
    after = client.process.usage()
    assert after.memory_bytes - before.memory_bytes > 60 << 20
    assert after.memory_peak_bytes >= after.memory_bytes
    assert after.cpu_ms > before.cpu_ms
    await client.run("del big")


async def test_what_is_written_past_python_is_kept_up_to_a_bound(bench: Workbench) -> None:
    async with bench.kernel() as client:
        code = (
            "import os, sys\nfd = sys.stdout._original_stdstream_copy\nfor _ in range(50): os.write(fd, b'x' * 100_000)"
        )
        assert (await client.run(code)).status == "ok"
        log = client.process.home / "log"
    assert 0 < log.stat().st_size <= 256 * 1024


async def test_a_socket_that_the_kernel_replaced_is_not_opened(bench: Workbench, tmp_path: Path) -> None:
    process = await bench.launch()
    socket = process.home / "run" / "k-1"
    socket.unlink()
    socket.symlink_to(tmp_path)
    with pytest.raises(KernelStartFailed, match="shell socket"):
        process.endpoint("shell")
    socket.unlink()
    socket.write_text("")
    with pytest.raises(KernelStartFailed, match="replaced"):
        process.endpoint("shell")
    await process.stop()


async def test_a_home_deeper_than_a_socket_address_works(bench: Workbench) -> None:
    deep = bench.data / ("d" * 100) / "kernel"
    process = await bench.launch(home=deep)
    async with Client(process) as client:
        assert (await client.run("1 + 1")).value == "2"
    await process.stop()


async def test_a_second_kernel_in_the_same_home_finds_the_files(bench: Workbench) -> None:
    async with bench.kernel() as first:
        await first.run("open('kept.txt', 'w').write('here')")
    process = await bench.launch(home=first.process.home)
    async with Client(process) as client:
        assert (await client.run("open('kept.txt').read()")).value == "'here'"
    await process.stop()


async def test_a_step_that_fails_means_no_kernel_and_is_named(bench: Workbench) -> None:
    with pytest.raises(KernelStartFailed, match="mounts"):
        await bench.launch(tmp=-1)
    with pytest.raises(KernelStartFailed, match="landlock"):
        await bench.launch(descriptors=4)
    with pytest.raises(KernelStartFailed, match="level"):
        await bench.launch(level="unprivileged")


async def test_the_guest_says_what_it_cannot_run() -> None:
    with pytest.raises(KernelStartFailed, match="could not run"):
        await run_guest("/bin/false", "probe")
