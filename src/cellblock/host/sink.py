"""Where a zip is written to while it is sent: nothing of it is held longer than until somebody takes it."""


class Sink:
    """Where a zip is written to, and taken from piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, b: bytes, /) -> int:
        self._pieces.append(bytes(b))
        return len(b)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken
