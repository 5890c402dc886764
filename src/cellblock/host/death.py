"""How a kernel's process ended: a value that whoever waits for that gets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Death:
    """The kernel process ended: an exit status ≥ 0, or minus the signal. `memory_peak`: bytes, 0 if unknown.

    `snapshots`: names of those it has left, of which one can be revived; without any, nothing of the sandbox is left.
    `said`: how, where all that is known is what somebody else says.
    """

    status: int
    out_of_memory: bool
    memory_peak: int
    snapshots: tuple[str, ...] = ()
    said: str | None = None

    @property
    def how(self) -> str:
        """The end of a sentence that begins "its process …"."""
        killed = f"was killed by signal {-self.status}" if self.status < 0 else f"exited with {self.status}"
        return self.said or killed
