"""Questions of ours to a session's kernel: silent, outside the notebook and the count, and bounded in time and size."""

import asyncio
import uuid
from dataclasses import dataclass, field

from cellblock.content import Malformed, cut
from cellblock.errors import InternalError, KernelFault, Unavailable
from cellblock.host.connection import KernelMessage
from cellblock.host.kernels import Kernel
from cellblock.host.meter import ProcessUsage

MAX_TEXT = 1 << 20
LOOKS = 5  # in a row at which a kernel stands still, so that a machine that pauses is not taken for that
LOOK_SECONDS = 1.0
AT_WORK = 0.01  # of a processor
FOREIGN = "This kernel runs another language than Python."


@dataclass(eq=False)
class Peek:
    """One question; it waits in the session's queue like an execution. `answer` is what the code printed."""

    code: str
    deadline: float  # of the event loop's clock
    answer: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _text: list[str] = field(default_factory=list)
    _size: int = 0
    _error: str | None = None

    def fail(self, why: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(Unavailable(why, retry_after=1.0))
            self.answer.exception()  # nobody may be waiting any more

    async def run(self, kernel: Kernel, patience: float) -> bool:
        """Asks; whether the kernel still answers afterwards, or within `patience` seconds more."""
        if not kernel.python:
            self.fail(FOREIGN)
            return True
        id = uuid.uuid4().hex
        try:
            async with asyncio.timeout_at(self.deadline):
                await kernel.connection.execute(
                    self.code, msg_id=id, silent=True, store_history=False, on_message=self._heard
                )
        except TimeoutError:
            self.fail("The kernel did not answer in time.")
            return await self._recovered(kernel, patience)
        except (KernelFault, Malformed) as problem:
            self.fail(f"The kernel did not answer: {problem}")
            return kernel.alive
        self._settle()
        return True

    def _settle(self) -> None:
        if self.answer.done():
            return
        if self._error and self._error.startswith("KeyboardInterrupt"):
            self.fail("The kernel was interrupted.")
        elif self._error is None:
            self.answer.set_result("".join(self._text))
        else:
            self.answer.set_exception(InternalError(self._error))
            self.answer.exception()

    async def _recovered(self, kernel: Kernel, patience: float) -> bool:
        """The code is interrupted. What sorts a large table hears that late, and is at work until then; a kernel that stays
        deaf, or stands still meanwhile, is as good as dead."""
        kernel.process.interrupt()
        request = kernel.connection.request("kernel_info_request", {}, "shell", timeout=patience)
        answer = asyncio.create_task(request)
        still, used = 0, kernel.process.usage()
        try:
            while still < LOOKS and not answer.done():
                await asyncio.wait([answer], timeout=LOOK_SECONDS)
                before, used = used, kernel.process.usage()
                still = 0 if at_work(before, used) else still + 1
            if answer.done():
                await answer
            return answer.done()
        except KernelFault:
            return False
        finally:
            answer.cancel()

    def _heard(self, message: KernelMessage) -> None:
        content = message.content
        if message.msg_type == "stream" and content.get("name") == "stdout":
            self._keep(content.get("text"))
        elif message.msg_type in ("error", "execute_reply") and self._error is None and "ename" in content:
            self._error = cut(f"{content.get('ename')}: {content.get('evalue')}", 2000)

    def _keep(self, text: object) -> None:
        if isinstance(text, str) and self._size < MAX_TEXT:
            self._text.append(text[: MAX_TEXT - self._size])
            self._size += len(self._text[-1])


def at_work(before: ProcessUsage, now: ProcessUsage) -> bool:
    """Whether a kernel has used a processor between two looks; of one that is not ours that is not known."""
    return not now.memory_bytes or now.cpu_ms - before.cpu_ms > 1000 * LOOK_SECONDS * AT_WORK
