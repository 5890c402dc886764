"""A process seen through its pidfd, whoever its parent is: started here, or left by a server before this one."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence


class Watched:
    """`ended` resolves when the process has ended; a child of ours is waited for then. Let go of, it lives on."""

    def __init__(self, pid: int) -> None:
        """OSError when there is no such process."""
        self.pid = pid
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fd = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def kill(self) -> None:
        if self._fd >= 0:
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    async def until_ended(self, seconds: float) -> None:
        """Waits for its end, and brings it about when it does not come in time."""
        try:
            await asyncio.wait_for(asyncio.shield(self.ended), seconds)
        except TimeoutError:
            self.kill()
            await self.ended

    def let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    def _readable(self) -> None:
        self.let_go()
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pass  # a former server's child
        self.ended.set_result(None)


def spawned(command: Sequence[str], environment: Mapping[str, str], stdin: int, output: int) -> Watched:
    """A process in a session of its own, which outlives us if nobody ends it. OSError."""
    streams = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    ignored_here = [signal.SIGPIPE, signal.SIGXFSZ]
    pid = os.posix_spawnp(
        command[0], tuple(command), environment, file_actions=streams, setsid=True, setsigdef=ignored_here
    )
    return Watched(pid)
