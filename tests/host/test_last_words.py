"""What was printed and flushed before a kernel died is kept, however it died: every time, not most times."""

import signal

import pytest
from interpreting import Bench, text

pytestmark = pytest.mark.asyncio(loop_scope="session")
TIMES = 20

PRINTED = "import ctypes, os, signal, sys\nfor n in range(50): print('word', n)\nprint('last words', flush=True)\n"
WORDS = "".join(f"word {n}\n" for n in range(50)) + "last words\n"
DEATHS = {
    "an exit without cleaning up": ("os._exit(0)", "exited with 0"),
    "an exit with a status": ("os._exit(3)", "exited with 3"),
    "a kill": ("os.kill(os.getpid(), signal.SIGKILL)", f"killed by signal {signal.SIGKILL}"),
    "a segmentation fault": ("ctypes.string_at(0)", f"killed by signal {signal.SIGSEGV}"),
    "an abort": ("os.abort()", f"killed by signal {signal.SIGABRT}"),
}


@pytest.mark.parametrize("name", DEATHS)
async def test_what_was_flushed_is_kept_however_the_kernel_dies(bench: Bench, name: str) -> None:
    death, why = DEATHS[name]
    kernel_id = await bench.kernel()
    for _ in range(TIMES):
        result = await bench.run(PRINTED + death, kernel_id)
        assert (result["status"], result["kernel_state"]) == ("kernel_died", "lost")
        assert text(result) == WORDS
        assert why in (result["notice"] or "")


async def test_what_was_written_to_both_streams_is_kept_in_order(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "import os, sys\nfor n in range(5):\n    print('out', n, flush=True)\n"
    code += "    print('err', n, file=sys.stderr, flush=True)\nos._exit(0)"
    for _ in range(TIMES):
        assert text(await bench.run(code, kernel_id)) == "".join(f"out {n}\nerr {n}\n" for n in range(5))


async def test_what_was_displayed_before_a_death_is_kept(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "import os\nfrom IPython.display import HTML, display\ndisplay(HTML('<b>seen</b>'))\n"
    code += "print('after', flush=True)\nos._exit(0)"
    for _ in range(TIMES):
        shown, said = (await bench.run(code, kernel_id))["outputs"][:2]
        assert (shown["output_type"], said["text"]) == ("display_data", "after\n")


async def test_very_much_that_was_flushed_is_kept_to_its_end(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "import os\nfor n in range(400): print('%07d' % n * 1000)\nprint('last words', flush=True)\nos._exit(0)"
    for _ in range(TIMES // 4):
        result = await bench.run(code, kernel_id)
        assert result["truncated"]
        assert text(result).startswith("0000000" * 1000)
        assert text(result).rstrip().endswith("last words")
