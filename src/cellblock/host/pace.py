"""Pure: how much of the server's time one kernel may take by what it says: some at once, and a share of it for good.

Everybody's messages go through one event loop on one core, and whoever floods it keeps another core busy with its own
side. Read no faster than this, a flood is slowed by its own full socket, and takes little of either.
"""

from dataclasses import dataclass

BURST = 0.1  # seconds of work: two thousand small messages, or some 30 MB of large ones
SHARE = 0.2  # of the time there is


@dataclass(slots=True)
class Pace:
    """Seconds of work that may be done at once, which come back at `share` seconds a second up to `burst`."""

    burst: float = BURST
    share: float = SHARE
    _owed: float = 0.0  # seconds of work done that have not come back
    _since: float = 0.0

    def spent(self, begun: float, ended: float) -> float:
        """Work was done between two moments of a monotonic clock: the seconds to rest before there is more; mostly 0."""
        self._owed = max(0.0, self._owed - (begun - self._since) * self.share) + (ended - begun)
        self._since = begun
        over = self._owed - self.burst
        return over / self.share if over > 0 else 0.0
