"""A kernel of another language at a real Jupyter server: run, limited and told of as any other; nobody asks it in Python."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from gateways import STEADY, Begin, Gateway
from interpreting import OWNER, Bench, text

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def bash(gateway: Gateway, begin: Begin) -> Bench:
    """Sessions may have Python, which is the default, or bash."""
    return await begin(gateway.server, remote=replace(STEADY, kernels=("python3", "bash")))


async def pieces() -> AsyncIterator[bytes]:
    yield b"mine"


async def test_bash_runs_is_limited_and_comes_back(bash: Bench) -> None:
    kernel_id = await bash.kernel(environment="bash")
    first = await bash.run("x=5; echo $((x * 2))", kernel_id, snapshot="always")
    assert (first["status"], text(first), first["notice"], first["execution_count"]) == ("ok", "10\n", None, 1)
    wrong = await bash.run("no-such-program", kernel_id)
    assert (wrong["status"], "command not found" in text(wrong)) == ("error", True)
    slow = await bash.run("echo on; sleep 100", kernel_id, timeout=3.0)
    assert (slow["status"], slow["kernel_state"], text(slow)[:3]) == ("timeout", "kept", "on\n")
    assert text(await bash.run("echo $x", kernel_id)) == "5\n"
    cells = (await bash.interpreter.notebook(OWNER, kernel_id))["cells"]
    assert (cells[-1]["source"], cells[-1]["status"]) == ("echo $x", "ok")
    died = await bash.run("kill -9 $PPID", kernel_id)
    assert (died["status"], died["kernel_state"]) == ("kernel_died", "lost")
    after = await bash.run("echo ${x:-gone}", kernel_id)
    assert (after["status"], text(after)) == ("ok", "gone\n")
    assert "variables of before are lost" in str(after["notice"])


async def test_what_only_python_can_be_asked_it_is_not_asked(bash: Bench) -> None:
    kernel_id = await bash.kernel(environment="bash")
    await bash.run("x=5", kernel_id)
    assert await bash.interpreter.variables(OWNER, kernel_id) == []
    assert await bash.interpreter.snapshots(OWNER, kernel_id) == []
    await bash.interpreter.write_file(OWNER, kernel_id, "mine.txt", pieces())
    told = await bash.run("cat mine.txt", kernel_id)
    assert "its language is bash, and files travel to Python only" in str(told["notice"])
