"""Who looks on at a session: first a picture of everything, then all that happens, numbered by the session itself."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from cellblock.execution import Event, timestamp
from cellblock.host.log import EventLog, Gap


class Watchers:
    """The onlookers of one session. `picture` is the content of a `snapshot` as things are when it is called."""

    def __init__(self, kernel_id: str, clock: Callable[[], float], picture: Callable[[], dict[str, Any]]) -> None:
        self._kernel_id, self._clock, self._picture = kernel_id, clock, picture
        # Number 1 is the picture of a session in which nothing has happened yet.
        self._log: EventLog[Event] = EventLog(max_items=4096, max_bytes=4 << 20, last=1)

    @property
    def present(self) -> bool:
        """Whether anybody looks on."""
        return self._log.readers > 0

    def tell(self, name: str, content: dict[str, Any], cell_id: str | None = None) -> None:
        """Something of the session's own has happened."""
        if self.present:
            self._log.append(self._event(name, content, self._log.last + 1, cell_id))
        else:
            self._log.skip()

    def pass_on(self, events: list[Event]) -> None:
        """An execution's events, under the session's numbers."""
        for event in events:
            if self.present:
                self._log.append({**event, "seq": self._log.last + 1})
            else:
                self._log.skip()

    def picture_again(self) -> None:
        """So much has changed that only a new snapshot tells it."""
        if self.present:
            self.tell("snapshot", self._picture())

    async def watch(self) -> AsyncIterator[Event]:
        """A `snapshot`, then everything until `close`; who falls behind gets a `gap` and a `snapshot` again."""
        with self._log.reader():
            after = self._log.last
            yield self._event("snapshot", self._picture(), after)
            async for entry in self._log.tail(after):
                for event in self._seen(entry):
                    yield event

    def close(self) -> None:
        """The session is over: everybody's stream ends."""
        self._log.close()

    def _seen(self, entry: tuple[int, Event] | Gap) -> list[Event]:
        if not isinstance(entry, Gap):
            return [entry[1]]
        gap = self._event("gap", {"from": entry.first, "to": entry.last}, entry.last)
        return [gap, self._event("snapshot", self._picture(), entry.last)]

    def _event(self, name: str, content: dict[str, Any], seq: int, cell_id: str | None = None) -> Event:
        return {
            "seq": seq,
            "event": name,
            "execution_id": None,
            "kernel_id": self._kernel_id,
            "cell_id": cell_id,
            "time": timestamp(self._clock()),
            "content": content,
        }
