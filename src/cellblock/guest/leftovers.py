"""What a fork leaves behind in a revived kernel: objects whose threads, connections and loops are gone. They fail at once,
or work anew; none of them makes a cell wait for ever. Standard library only; finds what has been imported, imports nothing.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

GONE = "Its processes and threads have ended: the kernel went back to an earlier state."
NO_POLARS = (
    "polars' threads have ended: the kernel went back to an earlier state. Tables are whole; a query needs a restart."
)
POLARS_THREADS = ("polars-0", "tokio-rt-worker", "async-executor-")


def settle() -> None:
    """Once, before the kernel opens again."""
    for executor in _executors():
        _empty(executor)
    for executor in _process_executors():
        _break(executor)
    for pool in _pools():
        pool._state = "TERMINATE"  # it raises "Pool not running"


def _executors() -> Iterator[Any]:
    """concurrent.futures: an executor of threads is known to its threads alone."""
    module = sys.modules.get("concurrent.futures.thread")
    if module is None:
        return
    for thread in list(module._threads_queues):
        arguments = getattr(thread, "_args", ())
        executor = arguments[0]() if arguments and callable(arguments[0]) else None
        if executor is not None:
            yield executor
    module._threads_queues.clear()


def _empty(executor: Any) -> None:
    """Without threads, so that it makes new ones; what they had to do is cancelled."""
    threading, queue = sys.modules["threading"], sys.modules["queue"]
    executor._threads = set()
    executor._idle_semaphore = threading.Semaphore(0)
    executor._shutdown_lock = threading.Lock()
    work, executor._work_queue = executor._work_queue, queue.SimpleQueue()
    while not work.empty():
        if (item := work.get_nowait()) is not None:
            item.future.cancel()


def _process_executors() -> Iterator[Any]:
    """concurrent.futures: an executor of processes is known to the thread that serves it."""
    module = sys.modules.get("concurrent.futures.process")
    if module is None:
        return
    for thread in list(module._threads_wakeups):
        if (executor := thread.executor_reference()) is not None:
            yield executor
    module._threads_wakeups.clear()


def _break(executor: Any) -> None:
    """As when its processes have been killed: what waits, and what is asked of it from now on, is a BrokenProcessPool."""
    executor._shutdown_lock = sys.modules["threading"].Lock()
    executor._broken = GONE
    for item in executor._pending_work_items.values():
        if not item.future.done():
            item.future.set_exception(sys.modules["concurrent.futures.process"].BrokenProcessPool(GONE))
    executor._pending_work_items.clear()


def _pools() -> Iterator[Any]:
    """multiprocessing: pools of processes or threads, which threads of ours have served."""
    module, util = sys.modules.get("multiprocessing.pool"), sys.modules.get("multiprocessing.util")
    if module is None or util is None:
        return
    for finalizer in list(util._finalizer_registry.values()):
        weak = getattr(finalizer, "_weakref", None)
        found = weak() if weak is not None else None
        if isinstance(found, module.Pool):
            yield found


def polars_has_threads() -> bool:
    """Whether polars has started them: they would be waited for in a copy, for ever. Where /proc is closed, whether it might."""
    if "polars" not in sys.modules:
        return False
    try:
        names = {_name(task) for task in os.listdir("/proc/self/task")}
    except OSError:
        return True
    return not names.isdisjoint(POLARS_THREADS)


def _name(task: str) -> str:
    try:
        with open(f"/proc/self/task/{task}/comm") as file:
            return file.read().strip()
    except OSError:  # it has just ended
        return ""


def refuse_polars() -> None:
    """All that runs a query is an error from now on."""
    lazy = getattr(sys.modules.get("polars._plr"), "PyLazyFrame", None)
    for name in [each for each in dir(lazy) if each.startswith(("collect", "sink_")) and each != "collect_schema"]:
        setattr(lazy, name, _refuse)


def _refuse(*_: object, **__: object) -> None:
    raise RuntimeError(NO_POLARS)
