"""Another Cellblock as a Jupyter server: its kernels are shut in, and start in milliseconds."""

from typing import Any

import pytest
from gateways import Begin, state
from interpreting import text

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_another_cellblock_gives_kernels(gateways: Any, begin: Begin) -> None:
    (other,) = await gateways(1, kind="cellblock")
    bench = await begin(other.server)
    await state(bench, other.server.name, "healthy")
    kernel_id = await bench.kernel()
    first = await bench.run("x = 1; open('out', 'w').write('out'); print('hi')", kernel_id)
    assert (first["status"], text(first), first["notice"]) == ("ok", "hi\n", None)
    assert [each["path"] for each in first["files"]] == ["out"]
    slow = await bench.run("import time\nwhile True: time.sleep(0.01)", kernel_id, timeout=0.5)
    assert (slow["status"], slow["kernel_state"]) == ("timeout", "kept")
    assert text(await bench.run("x", kernel_id)) == "1"
    died = await bench.run("import os; os._exit(3)", kernel_id)
    assert (died["status"], died["kernel_state"]) == ("error", "kept")  # there it came back as it was before
    after = await bench.run("open('out').read(), x", kernel_id)
    assert (text(after), after["notice"]) == ("('out', 1)", None)
