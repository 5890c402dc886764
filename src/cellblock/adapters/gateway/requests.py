"""What a Jupyter client may ask over its socket. An execution becomes one like any other; the rest goes to the kernel.

What need not be asked of the kernel is answered at once: what it is. What must not be its own affair is done here: to
interrupt it, to end it.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cellblock.adapters.gateway.formats import Message
from cellblock.errors import CellblockError, InvalidRequest, NotWaitingForInput
from cellblock.host.interpreter import ExecuteRequest, Interpreter, Posted, Request, Tape


@dataclass(frozen=True)
class Client:
    """One client of one kernel. `name` is what its `session_id` says."""

    interpreter: Interpreter
    owner: str
    kernel: str
    name: str
    tape: Tape

    async def handle(self, message: Message) -> None:
        """Does what a message asks for; the answer, a refusal too, is on the tape."""
        kind = message.header["msg_type"]
        known: Mapping[str, Callable[[Message], Awaitable[None]]] = {
            "execute_request": self._execute,
            "kernel_info_request": self._kernel_info,
            "interrupt_request": self._interrupt,
            "shutdown_request": self._shutdown,
            "input_reply": self._input,
            "debug_request": self._debug,
        }
        if act := known.get(kind):
            await act(message)
        elif message.channel in ("shell", "control"):
            await self._post(message)

    async def _execute(self, message: Message) -> None:
        request = Request(self.name, message.header)
        try:
            await self.interpreter.submit(self.owner, execution(message, self.kernel, request))
        except CellblockError as problem:
            self.tape.refused(self._expect(message), problem)

    async def _kernel_info(self, message: Message) -> None:
        info = await self.interpreter.kernel_info(self.owner, self.kernel)
        self.tape.answer(self._expect(message), "kernel_info_reply", info, _channel(message))
        if (await self.interpreter.kernel(self.owner, self.kernel))["state"] == "busy":
            self.tape.tell("busy")  # whoever shows the last state that was told

    async def _interrupt(self, message: Message) -> None:
        await self.interpreter.interrupt(self.owner, self.kernel)
        self.tape.answer(self._expect(message), "interrupt_reply", {"status": "ok"}, _channel(message))

    async def _shutdown(self, message: Message) -> None:
        restart = message.content.get("restart") is True
        content = {"status": "ok", "restart": restart}
        self.tape.answer(self._expect(message), "shutdown_reply", content, _channel(message))
        end = self.interpreter.restart if restart else self.interpreter.release
        await end(self.owner, self.kernel)

    async def _debug(self, message: Message) -> None:
        """A kernel without a debugger says so, where ipykernel answers nothing at all."""
        info = await self.interpreter.kernel_info(self.owner, self.kernel)
        if info.get("debugger") is True or "debugger" in (info.get("supported_features") or ()):
            await self._post(message)
            return
        content = {
            "type": "response",
            "request_seq": message.content.get("seq", 0),
            "command": message.content.get("command", ""),
            "success": False,
            "message": "These kernels have no debugger.",
            "body": {},
        }
        self.tape.answer(self._expect(message), "debug_reply", content, _channel(message))

    async def _input(self, message: Message) -> None:
        execution_id = self.tape.take_question(self.name)
        value = message.content.get("value")
        if execution_id is None or not isinstance(value, str):
            return
        try:
            await self.interpreter.answer(self.owner, execution_id, value)
        except NotWaitingForInput:
            pass  # it was interrupted meanwhile

    async def _post(self, message: Message) -> None:
        """To the kernel as it is, under an id of ours."""
        id, channel = uuid.uuid4().hex, _channel(message)
        posted = Posted(
            id, channel, message.header["msg_type"], dict(message.content), dict(message.metadata), message.buffers
        )
        await self.interpreter.post(self.owner, self.kernel, Request(self.name, message.header), posted)

    def _expect(self, message: Message) -> str:
        id = uuid.uuid4().hex
        self.tape.expect(id, Request(self.name, message.header))
        return id


def _channel(message: Message) -> Any:
    return "control" if message.channel == "control" else "shell"


def execution(message: Message, kernel: str, request: Request) -> ExecuteRequest:
    """An execute_request in our words. A silent one, or one without a history, leaves the notebook alone. InvalidRequest."""
    content = message.content
    code = content.get("code")
    if not isinstance(code, str):
        raise InvalidRequest("An execute_request has code.")
    silent, history = content.get("silent") is True, content.get("store_history", True) is True
    cell, expressions = message.metadata.get("cellId"), content.get("user_expressions")
    store = history and not silent
    return ExecuteRequest(
        code,
        kernel,
        cell if store and isinstance(cell, str) else None,
        store=store,
        allow_stdin=content.get("allow_stdin", True) is True,
        door="jupyter",
        asked=request,
        options={
            "silent": silent,
            "store_history": store,
            "user_expressions": expressions if isinstance(expressions, dict) else {},
        },
        stop_on_error=content.get("stop_on_error", True) is True and not silent,
    )
