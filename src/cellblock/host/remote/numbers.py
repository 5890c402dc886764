"""Whether any message got lost while the way to a kernel was interrupted. Pure.

ipykernel numbers what it sends: a message's id is SESSION_PID_NUMBER, one count for all channels. When every number from the
last one before the break up to the end of the execution has come in, nothing is missing. Kernels that do not number their
messages prove nothing.
"""

import re

KEPT = 100_000  # numbers beyond a gap that are remembered
ID = re.compile(r"([0-9A-Za-z-]{1,80}_\d{1,10})_(\d{1,15})")


class Numbers:
    """`heard` every id, `cut` at a break; `whole` then says whether all came in."""

    def __init__(self) -> None:
        self._series = ""
        self._highest = -1
        self._since: set[int] | None = None  # those after the break that are not in a row with it
        self._row = -1  # the last one that is

    def heard(self, id: str) -> None:
        found = ID.fullmatch(id)
        if found is None:
            return
        series, number = found[1], int(found[2])
        if series != self._series and self._since is None:
            self._series, self._highest = series, -1
        if series != self._series:
            return
        self._highest = max(self._highest, number)
        if self._since is not None:
            self._note(number, self._since)

    def _note(self, number: int, since: set[int]) -> None:
        if number > self._row and len(since) < KEPT:
            since.add(number)
        while self._row + 1 in since:
            self._row += 1
            since.remove(self._row)

    def cut(self) -> None:
        """The way was interrupted now. A second break before `mend` changes nothing: the row still has to be closed."""
        if self._since is None:
            self._since, self._row = set(), self._highest

    @property
    def broken(self) -> bool:
        return self._since is not None

    def mend(self, last: str) -> bool:
        """Forgets the breaks: whether all messages up to the one with id `last` have come in."""
        found = ID.fullmatch(last)
        row, before, self._since = self._row, self._highest, None
        return before >= 0 and found is not None and found[1] == self._series and int(found[2]) <= row
