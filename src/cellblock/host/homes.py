"""Where kernels live on disk: a directory below `kernels` for each that was ever started, owned by a user id of its own."""

import os
import shutil
from pathlib import Path

import structlog

from cellblock.errors import InternalError
from cellblock.host import tree
from cellblock.host.exhaustion import told
from cellblock.messages import Level

UID_BASE, UID_COUNT = 200_000, 60_000

log = structlog.get_logger("cellblock.homes")


class Homes:
    """Directories below `kernels`, one per kernel ever started, and the user ids their files belong to."""

    def __init__(self, data_dir: Path, taken: set[int]) -> None:
        self.directory = data_dir / "kernels"
        self._taken = set(taken)
        self._last = max(taken, default=UID_BASE)
        self._root = os.geteuid() == 0
        self._mode = 0o700

    def path(self, id: str) -> Path:
        return self.directory / id

    def files(self, id: str) -> Path:
        return self.directory / id / "files"

    def new_uid(self) -> int:
        """One of its own for a new home where the server may give one, else the server's."""
        if not self._root:
            return os.getuid()
        for _ in range(UID_COUNT):
            self._last = UID_BASE + (self._last + 1 - UID_BASE) % UID_COUNT
            if self._last not in self._taken:
                self._taken.add(self._last)
                return self._last
        raise InternalError("No user id is left for another kernel.")

    def let_in(self, level: Level) -> None:
        """Without namespaces a kernel of root's, another user, walks to its home by the data directory's own path.

        It may pass through, not look around; all else in the data directory is closed to it by mode and by Landlock.
        """
        self._mode = 0o711 if self._root and level != "full" else 0o700
        for directory in (self.directory.parent, self.directory, *self.directory.iterdir()):
            directory.chmod(self._mode)

    def prepare(self, id: str) -> None:
        """The directory of a home, empty if it is new."""
        self.path(id).mkdir(mode=0o700, exist_ok=True)
        self.path(id).chmod(self._mode)

    def make(self, id: str, uid: int) -> None:
        """A home with an empty workspace. HostExhausted. Blocks."""
        with told():
            self.prepare(id)
            self.files(id).mkdir(mode=0o700, exist_ok=True)
            if self._root:
                os.chown(self.files(id), uid, uid, follow_symlinks=False)

    def remove(self, id: str, uid: int | None) -> None:
        """The home with everything in it; nothing may live in it any more. Blocks."""
        parent = os.open(self.directory, tree.DIRECTORY)
        try:
            tree.remove_tree(parent, id)
        except FileNotFoundError:
            pass
        except OSError as problem:
            log.error("home_not_removed", home=id, error=str(problem))
            shutil.rmtree(self.path(id), ignore_errors=True)
        finally:
            os.close(parent)
        self._taken.discard(uid or 0)

    def sweep(self, known: set[str]) -> list[str]:
        """Removes homes that belong to nobody: of kernels that waited when a server ended; and what was kept aside. Blocks."""
        for kept in self.directory.glob("*/kept"):
            shutil.rmtree(kept, ignore_errors=True)
        stray = [entry.name for entry in os.scandir(self.directory) if entry.name not in known]
        for id in stray:
            self.remove(id, None)
        return stray
