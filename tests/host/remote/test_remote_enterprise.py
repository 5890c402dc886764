"""An Enterprise Gateway, in an environment of its own: what it depends on is older than what we do."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateways import QUICK, TOKEN, Begin, state
from interpreting import text

sys.path.insert(0, str(Path(__file__).parents[2] / "clients"))
from environments import python_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow, pytest.mark.timeout(400)]


async def test_an_enterprise_gateway_gives_kernels(gateways: Any, begin: Begin) -> None:
    python = python_of("enterprise-gateway")
    options = [f"--EnterpriseGatewayApp.auth_token={TOKEN}", "--EnterpriseGatewayApp.port_retries=0"]
    (gateway,) = await gateways(1, *options, kind="enterprise", bin=python.parent)
    remote = replace(QUICK, env=(("KERNEL_USERNAME", "ada"),), timeout=30.0, patience=60.0)
    bench = await begin(gateway.server, remote=remote)
    await state(bench, gateway.server.name, "healthy")
    kernel_id = await bench.kernel()
    code = "import sys; x = 1; open('out', 'w').write('out'); sys.executable"
    first = await bench.run(code, kernel_id)
    assert str(python.parent) in text(first)
    assert first["notice"] is None
    assert [each["path"] for each in first["files"]] == ["out"]
    slow = await bench.run("import time\nwhile True: time.sleep(0.01)", kernel_id, timeout=0.5)
    assert (slow["status"], slow["kernel_state"]) == ("timeout", "kept")
    assert text(await bench.run("x", kernel_id)) == "1"
    died = await bench.run("import os; os._exit(3)", kernel_id)
    assert (died["status"], died["kernel_state"]) == ("kernel_died", "lost")
    assert text(await bench.run("open('out').read()", kernel_id)) == "'out'"
