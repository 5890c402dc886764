"""IPython's shell as this kernel has it: programs where there are no terminals, interrupts before a cell, nothing kept twice."""

# mypy: disable-error-code="no-untyped-call, misc, override"
# IPython says that it is typed, and is in part only.

import contextlib
import subprocess
from typing import Any

import ipykernel.zmqshell
import traitlets
from IPython.core.events import EventManager

from cellblock.guest.publishing import Displays


class Events(EventManager):
    """An interrupt while something is called that wants to know of a cell before it runs is an interrupt of the cell.

    IPython takes it for the fault of what it has called, tells of that, and runs the cell.
    """

    def trigger(self, event: str, *args: Any, **kwargs: Any) -> None:
        if not event.startswith("pre_"):
            super().trigger(event, *args, **kwargs)
            return
        for each in self.callbacks[event][:]:
            try:
                each(*args, **kwargs)
            except Exception:
                print(f"Error in callback {each} (for {event}):")
                self.shell.showtraceback()


class Shell(ipykernel.zmqshell.ZMQInteractiveShell):
    """`!cmd` on a terminal of its own where there are terminals, else through a pipe."""

    terminals = True
    display_pub_class = traitlets.Type(Displays)

    def init_events(self) -> None:
        super().init_events()
        self.events.__class__ = Events  # which keeps what IPython has registered

    def _tee(self, channel: str) -> contextlib.AbstractContextManager[None]:
        """IPython keeps whatever is printed, for a history that nobody saves here: a print of 1 GB held 1 GB."""
        return contextlib.nullcontext()

    def system_piped(self, cmd: str) -> None:
        if self.terminals:
            super().system_piped(cmd)
            return
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = self.var_expand(cmd, depth=1)
        with subprocess.Popen(command, shell=True, text=True, errors="replace", **pipes) as process:  # noqa: S602
            try:
                for line in process.stdout or ():
                    print(line, end="", flush=True)
            except KeyboardInterrupt:
                process.terminate()
                raise
        self.user_ns["_exit_code"] = process.returncode

    system = system_piped
