"""What a server that ended has left in the store: executions that go on in a kernel that lives, and others, told the truth."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import structlog

from cellblock.execution import Execution, KernelState, Result
from cellblock.host import schema
from cellblock.host.config import Config
from cellblock.host.running import spill_path
from cellblock.host.store import Row, Store

SERVER_ENDED = "the server was restarted"
CUT = "The server ended while this ran."
DIED = "The server ended while this ran: the kernel's variables are lost; the notebook and the files are kept."
NEVER_RAN = "The server ended before this ran."
CRASHED = "The server was restarted while this ran: output of that moment may be missing."
UNANSWERED = "it did not answer when the server was started again"
WITHOUT_SERVER = "while no server was there"
LEFT = "The server was restarted while this ran."

log = structlog.get_logger("cellblock.recovery")


@dataclass
class Past:
    """An execution's clock: the moment that is told again, and from `caught_up` on the one there is."""

    clock: Callable[[], float]
    now: float | None

    def __call__(self) -> float:
        return self.clock() if self.now is None else self.now

    def caught_up(self) -> None:
        self.now = None


@dataclass(frozen=True)
class Unfinished:
    """An execution whose kernel lives. `ran`: seconds, None while it waits; `crashed`: events may have got lost."""

    row: Row
    events: list[dict[str, Any]]
    execution: Execution
    ran: float | None
    crashed: bool

    @property
    def last(self) -> int:
        """The number of the last event that is known."""
        return int(self.events[-1]["seq"]) if self.events else 0


async def recover(config: Config, store: Store, alive: Collection[str] = ()) -> list[Unfinished]:
    """Ends, in the store, every execution without an end, from the events that were written.

    Those in `alive` sessions have a kernel still, and are answered instead, the oldest first.
    """
    going_on: list[Unfinished] = []
    cut = 0
    for row in sorted(await store.unfinished(), key=lambda row: row["accepted"]):
        events = await store.events(row["id"], 0)
        if row["session_id"] in alive:
            going_on.append(unfinished(config, row, events))
            store.put(schema.executions, {**row, "result": {**row["result"], "notice": None}})  # if we crash as well
            continue
        ended = replayed(config, row, events)
        store.put(schema.executions, ended)
        if row["session_id"] and ended["result"]["cell_id"]:
            await amend_cell(store, row["session_id"], ended["result"])
        cut += 1
    if cut or going_on:
        log.warning("executions_without_end", cut_off=cut, going_on=len(going_on))
    await store.flush()
    return going_on


def unfinished(config: Config, row: Row, events: list[dict[str, Any]]) -> Unfinished:
    """An execution as it was when the server went away; its clock runs from now on."""
    execution, past = told_again(config, row, events)
    past.caught_up()
    if execution.status == "queued":
        return Unfinished(row, events, execution, None, crashed=False)
    crashed = execution.notice is None
    execution.notice = execution.notice or CRASHED
    ran = execution.result()["timing"]["run_ms"] / 1000 - waited_for_input(events)
    return Unfinished(row, events, execution, ran, crashed)


def replayed(config: Config, row: Row, events: list[dict[str, Any]]) -> Row:
    """The row of an execution as its stored events leave it, with the end it could not write itself."""
    execution, _ = told_again(config, row, events)
    ran = execution.status == "running"
    execution.died()
    state: KernelState = "lost" if row["session_id"] else "released"
    died = DIED if row["session_id"] else CUT
    execution.end("kernel_died" if ran else "cancelled", state, notice=died if ran else NEVER_RAN)
    ended = execution.result()
    last = events[-1]["seq"] if events else 0
    return {**row, "status": ended["status"], "result": dict(ended), "ended": config.clock(), "events": last + 1}


def told_again(config: Config, row: Row, events: list[dict[str, Any]]) -> tuple[Execution, Past]:
    """The execution that these events are of, and its clock, which stands at the last of them."""
    result: Result = row["result"]
    past = Past(config.clock, row["accepted"])
    execution = Execution(
        row["id"],
        result["kernel_id"],
        result["cell_id"],
        row["code"],
        output_limit=config.output_limit,
        clock=past,
        allow_stdin=bool(row["allow_stdin"]),
        spill_path=spill_path(row["id"]),
    )
    execution.notice = result["notice"]
    at_once = bool(events) and events[0]["content"].get("status") == "running"
    execution.start("running" if at_once else "queued")
    for event in events[1:]:
        past.now = moment(event)
        execution.answered()
        if event["content"].get("status") == "running":
            execution.running()
        channel = "stdin" if event["event"] == "input_request" else "iopub"
        execution.receive(channel, event["event"], row["id"], event["content"])
    execution.take_spill()  # it is in the workspace
    return execution, past


def waited_for_input(events: list[dict[str, Any]]) -> float:
    """Seconds that passed between questions and whatever followed: the time limit does not count them."""
    return sum(moment(after) - moment(event) for event, after in pairwise(events) if event["event"] == "input_request")


def moment(event: dict[str, Any]) -> float:
    """When it happened, in epoch seconds."""
    return datetime.fromisoformat(event["time"]).timestamp()


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
