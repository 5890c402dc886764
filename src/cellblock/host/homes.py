"""Where kernels live on disk: a directory below `kernels` for each that was ever started, owned by a user id of its own.

A workspace lies in its session's home. That of a branch lies in the home of the sandbox which its kernel shares, and that of
a session whose former sandbox is still used by a branch in a home that has no other name; a link in the session's home tells.
"""

import os
import shutil
import stat
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from cellblock.errors import InternalError
from cellblock.host import tree
from cellblock.host.exhaustion import told
from cellblock.messages import Level

UID_BASE, UID_COUNT = 200_000, 60_000
ELSEWHERE = "elsewhere"  # leads from a home to a workspace, by a path below `kernels`

log = structlog.get_logger("cellblock.homes")


class Homes:
    """Directories below `kernels`, one per kernel ever started, and the user ids their files belong to."""

    def __init__(self, data_dir: Path, taken: Iterable[int]) -> None:
        self.directory = data_dir / "kernels"
        self._taken = Counter(taken)
        self._last = max(self._taken, default=UID_BASE)
        self._root = os.geteuid() == 0
        self._mode = 0o700
        self._moving = threading.RLock()
        self._counting = threading.Lock()  # ids are given on one thread and come back on others

    def path(self, id: str) -> Path:
        return self.directory / id

    def files(self, id: str) -> Path:
        """The workspace."""
        own = self.path(id) / "files"
        elsewhere = self._elsewhere(id)
        return own if elsewhere is None or os.path.lexists(own) else elsewhere

    def new_uid(self) -> int:
        """One of its own for a new home where the server may give one, else the server's."""
        if not self._root:
            return os.getuid()
        with self._counting:
            for _ in range(UID_COUNT):
                self._last = UID_BASE + (self._last + 1 - UID_BASE) % UID_COUNT
                if not self._taken[self._last]:
                    self._taken[self._last] += 1
                    return self._last
        raise InternalError("No user id is left for another kernel.")

    def let_in(self, level: Level) -> None:
        """Without namespaces a kernel of root's, another user, walks to its home by the data directory's own path.

        It may pass through, not look around; all else in the data directory is closed to it by mode and by Landlock.
        """
        self._mode = 0o711 if self._root and level != "full" else 0o700
        for directory in (self.directory.parent, self.directory, *self.directory.iterdir()):
            with suppress(FileNotFoundError):  # it is just being removed
                directory.chmod(self._mode)

    def prepare(self, id: str) -> None:
        """The directory of a home, empty if it is new."""
        self.path(id).mkdir(mode=0o700, exist_ok=True)
        self.path(id).chmod(self._mode)

    def make(self, id: str, uid: int) -> None:
        """A home with an empty workspace. HostExhausted. Blocks."""
        with told():
            self.prepare(id)
            self._own_directory(self.files(id), uid)

    def remove(self, id: str, uid: int | None) -> None:
        """The home with everything in it; nothing may live in it any more. Blocks."""
        self._remove(self.directory, id)
        self._release(uid)

    def sweep(self, known: set[str]) -> list[str]:
        """Removes homes that belong to nobody: of kernels that waited when a server ended; and what was kept aside. Blocks."""
        for kept in self.directory.glob("*/kept"):
            shutil.rmtree(kept, ignore_errors=True)
        used = known | {found.relative_to(self.directory).parts[0] for id in known if (found := self._elsewhere(id))}
        stray = [entry.name for entry in os.scandir(self.directory) if entry.name not in used]
        for id in stray:
            self.remove(id, None)
        return stray

    # workspaces that lie elsewhere; all of it blocks

    def lodge(self, id: str, home: Path, place: str, uid: int) -> Path:
        """An empty workspace for a branch, at `place` in the home of the sandbox it is to live in. HostExhausted."""
        workspace = home / "b" / place / "w"
        with told(), self._moving:
            with self._counting:
                self._taken[uid] += 1  # until it leaves, also when it has not come far
            if workspace.is_symlink():
                workspace.unlink()  # code's own
            elif workspace.exists():
                self._clear(workspace)
                self._remove(workspace.parent, workspace.name)
            try:
                self._own_directory(workspace, uid)
                self.prepare(id)
                self._link(id, workspace)
            except OSError:
                self._remove(workspace.parent, workspace.name)  # no link leads there for whoever clears up
                raise
        return workspace

    def bring_home(self, id: str, *, out_of: Path | None = None) -> Path:
        """The workspace lies in its session's home from now on; no kernel may be using it. Where that is.

        `out_of`: unless it lies elsewhere than in that home.
        """
        own = self.path(id) / "files"
        with self._moving:
            if out_of and (found := self._elsewhere(id)) and not found.is_relative_to(out_of):
                return own
            if (elsewhere := self._elsewhere(id)) and not os.path.lexists(own) and os.path.lexists(elsewhere):
                os.rename(elsewhere, own)
                if not stat.S_ISDIR(os.lstat(own).st_mode):  # what a kernel can write to it can replace
                    log.error("workspace_replaced", home=id)
                    own.unlink()
                    own.mkdir(mode=0o700)
            (self.path(id) / ELSEWHERE).unlink(missing_ok=True)
        return own

    def settle(self, id: str, lives_in: Callable[[Path], object | None]) -> Path:
        """The home for a fresh kernel: its session's, with the workspace in it, or another while somebody lives in that."""
        with self._moving:
            left = self._elsewhere(id)
            own = self.bring_home(id)
            if left and left.name == "files" and lives_in(left.parent) is None:
                self._vacate(left.parent)
                self._remove(self.directory, left.parent.name)
            home = self.path(id)
            if lives_in(home) is None:
                self._vacate(home)
                return home
            home = self.path(str(uuid.uuid4()))
            self.prepare(home.name)
            if own.exists():
                os.rename(own, home / "files")
            self._link(id, home / "files")
        return home

    def leave(self, id: str, uid: int, lives_in: Callable[[Path], object | None]) -> None:
        """A session is deleted: its home goes, or as long as others live in it what is the session's own there."""
        with self._moving:
            elsewhere = self._elsewhere(id)
            own = self.path(id)
            (own / ELSEWHERE).unlink(missing_ok=True)
            if lives_in(own) is None:
                self._vacate(own)
                self._remove(self.directory, id)
            else:
                for name in ("files", "kept"):
                    self._remove(own, name)
            if elsewhere and elsewhere.name == "w":
                self._remove(elsewhere.parent, elsewhere.name)
            elif elsewhere and lives_in(elsewhere.parent) is None:
                self._vacate(elsewhere.parent)
                self._remove(self.directory, elsewhere.parent.name)
            elif elsewhere:
                self._remove(elsewhere.parent, elsewhere.name)
            self._release(uid)

    def abandon(self, home: Path) -> None:
        """A home that is no session's, and in which nobody lives any more, goes; workspaces in it go home."""
        with self._moving:
            self._clear(home)
            self._remove(self.directory, home.name)

    def lodgers(self, home: Path) -> list[str]:
        """Sessions whose workspaces lie in a home that is not theirs."""
        return [
            entry.name
            for entry in os.scandir(self.directory)
            if (found := self._elsewhere(entry.name)) and found.is_relative_to(home)
        ]

    # inside

    def _vacate(self, home: Path) -> None:
        """Nobody lives there any more: workspaces of others go to their own homes. To find these all homes are looked at."""
        if any(home.glob("b/*/*")):
            self._clear(home)
            self._remove(home, "b")

    def _clear(self, place: Path) -> None:
        for id in self.lodgers(place):
            self.bring_home(id)

    def _elsewhere(self, id: str) -> Path | None:
        try:
            return self.directory / os.readlink(self.path(id) / ELSEWHERE)
        except OSError:
            return None

    def _link(self, id: str, target: Path) -> None:
        made = self.path(id) / f"{ELSEWHERE}.new"
        made.unlink(missing_ok=True)
        made.symlink_to(target.relative_to(self.directory))
        made.rename(self.path(id) / ELSEWHERE)

    def _own_directory(self, path: Path, uid: int) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        if self._root:
            os.chown(path, uid, uid, follow_symlinks=False)

    def _remove(self, parent: Path, name: str) -> None:
        place = os.open(parent, tree.DIRECTORY)
        try:
            tree.remove_tree(place, name)
        except FileNotFoundError:
            pass
        except OSError as problem:
            log.error("home_not_removed", home=str(parent / name), error=str(problem))
            shutil.rmtree(parent / name, ignore_errors=True)
        finally:
            os.close(place)

    def _release(self, uid: int | None) -> None:
        with self._counting:
            if uid and self._taken[uid]:
                self._taken[uid] -= 1
