"""Where the host starts the guest, by file: any interpreter can run it, whether cellblock is installed there or not.

python …/guest/__main__.py forkserver|filter|probe [ARGUMENT …]
"""

import sys

if __name__ == "__main__":
    del sys.path[0]  # this directory: nobody may import `kernel` or `limits` from it by accident

import importlib
import os
import types


def main(room: str, arguments: list[str]) -> None:
    """Runs one module of the guest, in a `cellblock` package of these files that runs no `__init__` of the server's."""
    here = os.path.dirname(os.path.abspath(__file__))
    for name, directory in (("cellblock", os.path.dirname(here)), ("cellblock.guest", here)):
        package = types.ModuleType(name)
        package.__path__ = [directory]
        sys.modules[name] = package
    sys.argv = ["cellblock"]
    importlib.import_module(f"cellblock.guest.{ROOMS[room]}").main(arguments)


ROOMS = {"forkserver": "forkserver", "filter": "seccomp", "probe": "probe"}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
