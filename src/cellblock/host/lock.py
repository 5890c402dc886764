"""One server per data directory: a lock that the system drops when its holder dies, with the holder's pid in it."""

import fcntl
import os
from pathlib import Path

from cellblock.errors import ConfigurationError, DataDirectoryInUse


class DataDirectory:
    """The data directory `path`, created 0700 and held by this process until `release`.

    DataDirectoryInUse names the pid of the server that has it; ConfigurationError when it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            (path / "kernels").mkdir(parents=True, exist_ok=True, mode=0o700)
            path.chmod(0o700)
            self._fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise ConfigurationError(
                f"The data directory {path} cannot be used: {problem.strerror}.",
                hint="Set CELLBLOCK_DATA_DIR to a directory you own.",
            ) from None
        self._take()

    @property
    def stands(self) -> bool:
        """Whether another server would find what we have there: it may have been removed."""
        try:
            return os.path.samestat(os.stat(self.path / "lock"), os.fstat(self._fd))
        except OSError:
            return False

    def release(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _take(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise DataDirectoryInUse(
                f"Another server, process {holder}, is using the data directory {self.path}."
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
