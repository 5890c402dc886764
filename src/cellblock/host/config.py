"""What the interpreter is told at its start, and what a caller hands in: values only."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cellblock.host.launcher import Environment
from cellblock.host.policy import CodeRules
from cellblock.host.servers import Remote
from cellblock.host.tape import Request
from cellblock.host.timeline import Mode

OnError: TypeAlias = Literal["keep", "rollback"]


@dataclass(frozen=True)
class Config:
    """Sizes are bytes, times seconds. The first of `environments` is the default one.

    `clock` is epoch seconds and serves stamps and housekeeping; it may be a test's own.
    """

    data_dir: Path
    environments: Sequence[Environment]
    kernelspecs: Sequence[Environment] = ()  # those that are no environments
    sandbox: Literal["auto", "full", "unprivileged", "off"] = "auto"
    pool_size: int = 2
    pool_max: int = 8
    max_timeout: float = 60.0
    memory_limit: int = 2 << 30
    output_limit: int = 1 << 20
    workspace_limit: int = 1 << 30
    upload_limit: int = 200 << 20
    code_limit: int = 1 << 20
    queue_limit: int = 32
    kernels_per_owner: int = 20
    idle_timeout: float = 1800.0
    keep_kernels: bool = False
    reattach_timeout: float = 60.0
    processes: int = 128
    cpus: float = 2.0
    grace: float = 2.0
    stdin_timeout: float = 60.0
    snapshot: Mode = "auto"
    snapshots: int = 5
    snapshot_limit: int = 1 << 30
    on_error: OnError = "keep"
    model_on_error: OnError = "keep"
    forbidden: CodeRules = field(default_factory=CodeRules)
    memory_reserve: int = 512 << 20
    watch_interval: float = 0.5
    patrol_interval: float = 2.0
    remote: Remote | None = None  # kernels come from there
    one_shot_files: float = 3600.0
    one_shot_results: float = 7 * 86400.0
    events_kept: float = 86400.0
    housekeeping_interval: float = 30.0
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class ExecuteRequest:
    """One execution as a door asks for it.

    `kernel_id` None: one-shot, with `files` [(path, content)] in its private workspace. `timeout` None: the most there
    is. `on_disconnect` is the door's to act on, by `interrupt_execution`. `title` names a session that has no title.
    Of a Jupyter client: `asked`, its own request; `options` of its execute_request (silent, store_history,
    user_expressions); with `stop_on_error` an error cancels what waits of the same client. Its `cell_id` need not exist yet.
    `snapshot`: whether the state before it is kept; `on_error` `rollback`: after an error the kernel is as before. None: as
    configured.
    """

    code: str
    kernel_id: str | None = None
    cell_id: str | None = None
    store: bool = True
    timeout: float | None = None
    allow_stdin: bool = False
    on_disconnect: Literal["continue", "interrupt"] = "continue"
    files: Sequence[tuple[str, bytes]] = ()
    idempotency_key: str | None = None
    door: str = "http"
    title: str | None = None
    asked: Request | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    stop_on_error: bool = False
    snapshot: Mode | None = None
    on_error: OnError | None = None
