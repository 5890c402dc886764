"""Whether any message got lost while the way to a kernel was interrupted. Pure.

ipykernel numbers what it sends: a message's id is SESSION_PID_NUMBER, one count for all channels, of which one may overtake
another. When every number from the beginning of an execution up to its end has come in, nothing is missing. Kernels that do not
number their messages prove nothing.
"""

import re

KEPT = 100_000  # numbers beyond a gap that are remembered
ID = re.compile(r"([0-9A-Za-z-]{1,80}_\d{1,10})_(\d{1,15})")


class Numbers:
    """`begin` at each execution, `heard` every id, `cut` at a break; `mend` then says whether all came in."""

    def __init__(self) -> None:
        self._series = ""
        self._row = -1  # all up to this one have come in
        self._beyond: set[int] = set()  # what has come in besides
        self._broken = False

    def heard(self, id: str) -> None:
        found = ID.fullmatch(id)
        if found is None:
            return
        series, number = found[1], int(found[2])
        if series == self._series:
            self._note(number)
        elif not self._broken:
            self._series, self._row = series, number
            self._beyond.clear()

    def _note(self, number: int) -> None:
        if number > self._row and len(self._beyond) < KEPT:
            self._beyond.add(number)
        while self._row + 1 in self._beyond:
            self._row += 1
            self._beyond.remove(self._row)

    def begin(self) -> None:
        """An execution is asked for: what others were told before it, and we were not, is no loss."""
        if not self._broken:
            self._row = max(self._beyond, default=self._row)
            self._beyond.clear()

    def cut(self) -> None:
        """The way was interrupted now."""
        self._broken = True

    def mend(self, last: str) -> bool:
        """At the end of an execution, whose last message has the id `last`: whether all that came of it is surely here."""
        found = ID.fullmatch(last)
        proved = found is not None and found[1] == self._series and int(found[2]) <= self._row
        whole, self._broken = proved or not self._broken, False
        return whole
