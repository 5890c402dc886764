"""Where a kernel's sockets are, while it is connected to: the sockets themselves, whatever their names lead to later."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cellblock.errors import KernelStartFailed
from cellblock.host.wire import Channel

SOCKETS: Mapping[Channel, str] = {"shell": "k-1", "iopub": "k-2", "stdin": "k-3", "control": "k-5"}


@dataclass
class Endpoints:
    """Of the kernel whose sockets are in `directory`."""

    directory: Path
    _fds: dict[Channel, int] = field(default_factory=dict)

    def of(self, channel: Channel, prefix: str) -> str:
        """A name that leads to it until `forget`; `prefix` begins the names of its sockets. KernelStartFailed when it is none."""
        if channel not in self._fds:
            self._fds[channel] = self._opened(channel, prefix)
        return f"ipc:///proc/self/fd/{self._fds[channel]}"

    def _opened(self, channel: Channel, prefix: str) -> int:
        try:
            fd = os.open(self.directory / f"{prefix}{SOCKETS[channel]}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as problem:
            raise KernelStartFailed(f"The kernel's {channel} socket cannot be opened: {problem.strerror}") from problem
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            os.close(fd)
            raise KernelStartFailed(f"The kernel's {channel} socket has been replaced.")
        return fd

    def forget(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
