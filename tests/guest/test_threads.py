"""How many threads numeric libraries have: none too many while a kernel is idle, as many as its limit grants at work."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from client import Client, Workbench, workbench

from cellblock.guest.threads import granted
from cellblock.messages import Policy

pytestmark = pytest.mark.asyncio(loop_scope="module")
TWO = min(2, os.cpu_count() or 1)
CPUS = [1.0, 2.0]

PRODUCT = """
import json, os
import numpy as np
tasks = lambda: {t: int(open(f'/proc/self/task/{t}/schedstat').read().split()[0]) for t in os.listdir('/proc/self/task')}
idle = tasks()
for _ in range(3): np.ones((1500, 1500)) @ np.ones((1500, 1500))
busy = tasks()
workers = [busy[t] for t in busy if t not in idle]
main = busy[str(os.getpid())] - idle[str(os.getpid())]
print(json.dumps({'idle': len(idle), 'workers': [ns / main for ns in workers]}))
"""
POOLS = """
import json
import scipy.linalg, sklearn, threadpoolctl
print(json.dumps(sorted((p['internal_api'], p['num_threads']) for p in threadpoolctl.threadpool_info())))
"""
COUNTS = "import os, multiprocessing, joblib, pyarrow\n"
COUNTS += "print([os.cpu_count(), multiprocessing.cpu_count(), joblib.cpu_count(), pyarrow.cpu_count()])"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workbench]:
    async with workbench(tmp_path_factory.mktemp("data"), "full") as made:
        yield made


async def told(client: Client, code: str) -> Any:
    return json.loads((await client.run(code)).text)


async def test_a_product_of_matrices_uses_the_threads_that_the_limit_grants_and_no_kernel_starts_with_them(
    bench: Workbench,
) -> None:
    async with bench.kernel(cpus=1.0) as one, bench.kernel(cpus=2.0) as two:
        alone, together = await told(one, PRODUCT), await told(two, PRODUCT)
    assert alone["idle"] == together["idle"]
    assert alone["workers"] == []
    assert len(together["workers"]) == TWO - 1
    assert all(share > 0.25 for share in together["workers"]), together


@pytest.mark.parametrize("cpus", CPUS)
async def test_a_library_that_is_imported_later_keeps_to_the_limit(bench: Workbench, cpus: float) -> None:
    count = min(int(cpus), TWO)
    async with bench.kernel(cpus=cpus) as client:
        assert await told(client, POOLS) == [["openblas", count], ["openblas", count], ["openmp", count]]


@pytest.mark.parametrize("cpus", CPUS)
async def test_what_python_and_joblib_say_of_the_machine_is_the_limit(bench: Workbench, cpus: float) -> None:
    async with bench.kernel(cpus=cpus) as client:
        assert await told(client, COUNTS) == 4 * [min(int(cpus), TWO)]


async def test_a_child_that_a_cell_forks_multiplies_as_well(bench: Workbench) -> None:
    code = "import multiprocessing as mp, numpy as np, threadpoolctl\n"
    code += "def f(n): np.ones((n, n)) @ np.ones((n, n)); return threadpoolctl.threadpool_info()[0]['num_threads']\n"
    code += "np.ones((500, 500)) @ np.ones((500, 500))\n"
    code += "with mp.get_context('fork').Pool(2) as pool: print(pool.map(f, [400, 400]))"
    async with bench.kernel(cpus=2.0) as client:
        assert await told(client, code) == [TWO, TWO]


async def test_where_nothing_is_preloaded_the_first_import_finds_the_limit(tmp_path: Path) -> None:
    async with workbench(tmp_path / "data", "full", preload=()) as bare, bare.kernel(cpus=2.0) as client:
        assert await told(client, POOLS) == [["openblas", TWO], ["openblas", TWO], ["openmp", TWO]]


@pytest.mark.parametrize(
    ("cpus", "processes", "count"),
    [(0.5, 128, 1), (1.0, 128, 1), (1.5, 128, TWO), (2.0, 128, TWO), (10_000.0, 10**6, os.cpu_count()), (2.0, 4, 1)],
)
async def test_a_part_of_a_core_is_one_and_no_more_is_granted_than_there_is(
    cpus: float, processes: int, count: int
) -> None:
    assert granted(Policy("full", cpus=cpus, processes=processes)) == count
