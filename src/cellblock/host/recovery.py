"""What a server that ended without a word has left: executions that ran are told the truth, in the store."""

from typing import Any

import structlog

from cellblock.execution import Execution, KernelState, Result
from cellblock.host import schema
from cellblock.host.config import Config
from cellblock.host.running import spill_path
from cellblock.host.store import Row, Store

CUT = "The server ended while this ran."
DIED = "The server ended while this ran: the kernel's variables are lost; the notebook and the files are kept."
NEVER_RAN = "The server ended before this ran."

log = structlog.get_logger("cellblock.recovery")


async def recover(config: Config, store: Store) -> int:
    """Ends, in the store, every execution without an end: from the events that were written. How many there were."""
    rows = await store.unfinished()
    for row in rows:
        ended = replayed(config, row, await store.events(row["id"], 0))
        store.put(schema.executions, ended)
        if row["session_id"] and ended["result"]["cell_id"]:
            await amend_cell(store, row["session_id"], ended["result"])
    if rows:
        log.warning("executions_cut_off", count=len(rows))
    await store.flush()
    return len(rows)


def replayed(config: Config, row: Row, events: list[dict[str, Any]]) -> Row:
    """The row of an execution as its stored events leave it, with the end it could not write itself."""
    result: Result = row["result"]
    now = [row["accepted"]]
    execution = Execution(
        row["id"],
        result["kernel_id"],
        result["cell_id"],
        row["code"],
        output_limit=config.output_limit,
        clock=lambda: now[0],
        allow_stdin=True,
        spill_path=spill_path(row["id"]),
    )
    waited = not events or (len(events) == 1 and events[0]["content"].get("status") == "queued")
    execution.start("queued" if waited else "running")
    for event in events:
        execution.receive("iopub", event["event"], row["id"], event["content"])
    ran = execution.status == "running"
    execution.died()
    state: KernelState = "lost" if row["session_id"] else "released"
    died = DIED if row["session_id"] else CUT
    execution.end("kernel_died" if ran else "cancelled", state, notice=died if ran else NEVER_RAN)
    ended = execution.result()
    last = events[-1]["seq"] if events else 0
    return {**row, "status": ended["status"], "result": dict(ended), "ended": config.clock(), "events": last + 1}


async def amend_cell(store: Store, session_id: str, result: Result) -> None:
    """The cell in the session's notebook shows what came of it."""
    found = await store.session(session_id)
    cells = {row["id"]: row["cell"] for row in found[1]} if found else {}
    cell = cells.get(result["cell_id"])
    if not cell or cell["execution_id"] != result["id"]:
        return
    shown = {key: result[key] for key in ("outputs", "execution_count", "status")}
    row = {"session_id": session_id, "id": cell["id"], "cell": {**cell, **shown}}
    store.put(schema.cells, row)
