"""What a fork leaves behind in a revived kernel: objects whose threads, connections and loops are gone. They fail at once,
or work anew; none of them makes a cell wait for ever. Standard library only; finds what has been imported, imports nothing.
"""

import sys
from collections.abc import Iterator
from typing import Any


def settle() -> None:
    """Once, before the kernel opens again."""
    for executor in _executors():
        _empty(executor)
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
