"""Jupyter servers whose kernels are used instead of our own: values only, as the operator has given them."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit


@dataclass(frozen=True)
class JupyterServer:
    """One server. `url` ends without a slash and holds no secret; `name` is what people, logs and `/api/status` see of it.

    `draining`: its kernels stay, and no new ones are started there.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    draining: bool = False

    @property
    def name(self) -> str:
        parts = urlsplit(self.url)
        return parts.netloc + parts.path


@dataclass(frozen=True)
class Remote:
    """All of them, and how they are talked to. Times are seconds.

    `kernels`: names of kernelspecs, the first being the default one. `authority`: a file with certificates to trust besides
    the system's. `env`: variables that each kernel is asked to have. A `password` alone is a Jupyter server's login; with
    `username` it is HTTP's own (Basic). `patience`: a server silent for so long is dead, and its kernels with it; it is asked
    every `interval`, and has `timeout` to answer.
    """

    servers: tuple[JupyterServer, ...]
    kernels: tuple[str, ...] = ("python3",)
    authority: Path | None = None
    header: str = "Authorization"
    scheme: str = "token"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    env: tuple[tuple[str, str], ...] = ()
    start_timeout: float = 60.0
    patience: float = 10.0
    interval: float = 2.0
    timeout: float = 5.0


def server_at(address: str, *, token: str | None = None, draining: frozenset[str] = frozenset()) -> JupyterServer:
    """The server that an address names; a `?token=` in it, as Jupyter prints it, is its own. ValueError."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it begins with http:// or https:// and names a host")
    if parts.username is not None or parts.fragment:
        raise ValueError("it has no user, no password and no fragment")
    _ = parts.port
    asked = dict(parse_qsl(parts.query))
    if set(asked) - {"token"}:
        raise ValueError("of a query it has a token only")
    url = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return JupyterServer(url, asked.get("token") or token, url in draining)
