"""A wire between the browser and the server that can be cut, and mended."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page


class Wire:
    """Passes bytes on between who connects to `port` and the server. While it is cut, nobody gets through."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole = True
        self._awake = threading.Event()
        self._awake.set()
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        with self._lock:
            self._whole = False
            for end in self._ends:
                hang_up(end)

    def sleep(self) -> None:
        """Nothing comes through any more, and nobody is told: as for a machine whose lid is shut."""
        with self._lock:
            self._whole = False
            self._awake.clear()

    def mend(self) -> None:
        with self._lock:
            self._whole = True
            if not self._awake.is_set():
                for end in self._ends:
                    hang_up(end)
            self._awake.set()

    def close(self) -> None:
        self.cut()
        self._awake.set()
        hang_up(self._listener)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._ends |= {near, far}
                pair = [threading.Thread(target=pump, args=(*ends, self._awake)) for ends in ((near, far), (far, near))]
                self._threads += [*pair, threading.Thread(target=self._wait, args=(pair, near, far))]
                for thread in self._threads[-3:]:
                    thread.start()

    def _wait(self, pair: list[threading.Thread], *ends: socket.socket) -> None:
        for thread in pair:
            thread.join()
        with self._lock:
            self._ends -= set(ends)
        for end in ends:
            end.close()


def pump(source: socket.socket, sink: socket.socket, awake: threading.Event) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            awake.wait()
            sink.sendall(piece)
    hang_up(source)
    hang_up(sink)


def hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()


@contextmanager
def wired(browser: Browser, server: str, arguments: dict[str, Any]) -> Iterator[tuple[Wire, Page]]:
    """A page that reaches the server over a wire of its own."""
    with wire_to(urlsplit(server).port or 0) as wire:
        context = browser.new_context(**arguments | {"base_url": f"http://localhost:{wire.port}"})
        yield wire, context.new_page()
        context.close()
