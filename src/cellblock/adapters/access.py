"""Who may come in: Host and Origin first, then the token, or a socket of the server's own user over loopback.

A request is let in without a token only if all of this holds: the server listens on loopback only and the operator has
not switched the rule off; its peer is a loopback socket that belongs to the server's uid; it names a loopback Host; it
carries no forwarding header and is not HTTP/1.0 (as nginx forwards, with no header of its own); its Origin, if any, is
ours; and kernels are shut in (code that is not has our uid).

A second port, on loopback and asked for by name, needs no token; only Jupyter's API answers there, and there too Host and
Origin are checked and kernels must be shut in.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cellblock.adapters import peers
from cellblock.adapters.paths import is_jupyter
from cellblock.errors import CellblockError, Forbidden, NotFound, Unauthorized

OWNER = "local"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
FORWARDED = frozenset(
    {
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "x-original-forwarded-for",
        "x-original-host",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "fly-client-ip",
        "fastly-client-ip",
        "cdn-loop",
        "tailscale-user-login",
    }
)
FORWARDED_PREFIX = "x-forwarded"
# What anybody may fetch; everything else wants an owner.
# /api/shared wants a token of its own, and gives one frozen copy for it.
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/frame.html", "/shared", "/api/shared"})
OPEN_PREFIXES = ("/c/", "/assets/")


@dataclass(frozen=True)
class Rules:
    """The operator's decisions. `names`: hosts the server answers to; `extra`: those added by a setting, which may also
    be the origin of a page behind a reverse proxy. `any_ip`: a wildcard bind answers to every address."""

    token: str
    port: int
    names: frozenset[str] = LOOPBACK_NAMES
    extra: frozenset[str] = frozenset()
    any_ip: bool = False
    loopback_trust: bool = True
    shut_in: Callable[[], bool] = lambda: False
    open_port: int | None = None
    open_files: frozenset[str] = frozenset()
    uid: int = field(default_factory=os.getuid)

    @property
    def cookie(self) -> str:
        """The cookie's name; browsers do not tell ports apart, so the port is in it."""
        return f"cellblock-{self.port}"

    @property
    def cookie_value(self) -> str:
        """What the cookie holds: proof of the token, not the token."""
        return hmac.new(self.token.encode(), b"cellblock cookie", hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in constant time."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def host_name(host: str) -> str:
    """The name in a Host header or an Origin, without port and brackets, lower case; empty when malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def host_allowed(rules: Rules, host: str) -> bool:
    """A name the server is called by. An address cannot be rebound by DNS, a name can."""
    name = host_name(host)
    if name in rules.names or name in rules.extra or host.lower() in rules.extra:
        return True
    return rules.any_ip and _is_ip(name)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def origin_ours(rules: Rules, origin: str, host: str) -> bool:
    """Whether a page of that origin is ours: the very authority that was called, or one the operator named."""
    authority = origin.partition("://")[2].lower()
    return bool(authority) and (authority == host.lower() or authority in rules.extra)


def check_origin(rules: Rules, headers: Headers, path: str) -> CellblockError | None:
    """The refusal of a Host or an Origin that is not ours. The frame has no origin and may fetch its assets only."""
    host = headers.get("host", "")
    if len(headers.getlist("host")) > 1 or len(headers.getlist("origin")) > 1:
        return Forbidden("A request names one Host and one Origin.")
    if not host_allowed(rules, host):
        return Forbidden(
            f"This server is not called {host_name(host) or 'that'!r}.",
            hint="Use the address it printed at start, or name the host in CELLBLOCK_ALLOWED_HOSTS.",
        )
    if path.startswith("/assets/"):
        return None
    origin = headers.get("origin")
    if origin is not None and not origin_ours(rules, origin, host):
        return Forbidden("Pages of another origin may not call this server.")
    if origin is None and path.startswith("/api/") and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return Forbidden("Pages of another site may not call this server.")
    return None


def trusted(rules: Rules, scope: Scope, headers: Headers) -> bool:
    """The loopback rule. Host and Origin have been checked."""
    peer, ours = scope.get("client"), scope.get("server")
    return (
        rules.loopback_trust
        and peer is not None
        and ours is not None
        and peers.is_loopback(peer[0])
        and host_name(headers.get("host", "")) in LOOPBACK_NAMES
        and scope.get("http_version") != "1.0"
        and not any(name in FORWARDED or name.startswith(FORWARDED_PREFIX) for name in headers)
        and rules.shut_in()
        and peers.owner_of(tuple(peer), tuple(ours)) == rules.uid
    )


def at_open_port(rules: Rules, scope: Scope) -> bool:
    """Whether a request came to the port that needs no token."""
    peer, ours = scope.get("client"), scope.get("server")
    if rules.open_port is None or peer is None or ours is None or ours[1] != rules.open_port:
        return False
    return peers.is_loopback(peer[0]) and rules.shut_in()


Verdict = Literal["right", "wrong", "none"]


def token_in_header(rules: Rules, headers: Headers) -> Verdict:
    """`Authorization: Bearer T` or `token T`. Another scheme is a wrong token; `token` alone is none, as Jupyter says it."""
    scheme, _, token = headers.get("authorization", "token").strip().partition(" ")
    known = scheme.lower() in ("bearer", "token")
    if scheme.lower() == "token" and not token.strip():
        return "none"
    return "right" if known and same(token.strip(), rules.token) else "wrong"


def token_in_cookie(rules: Rules, headers: Headers) -> Verdict:
    """The page's cookie. One left over from an earlier start is no attempt to come in: it counts as none."""
    value = cookie_parser(headers.get("cookie", "")).get(rules.cookie, "")
    return "right" if same(value, rules.cookie_value) else "none"


def take_token(scope: Scope) -> str | None:
    """Takes `token` out of the query, so that no log and no handler sees it; an empty one is none."""
    query = scope.get("query_string", b"").decode("latin-1")
    if "token=" not in query:
        return None
    pairs = parse_qsl(query, keep_blank_values=True)
    found = [value for name, value in pairs if name == "token"]
    scope["query_string"] = urlencode([(name, value) for name, value in pairs if name != "token"]).encode()
    return found[0] if found and found[0] else None


class Access:
    """Checks each request and sets `request.state.owner`. Raises Unauthorized and Forbidden."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        asked = take_token(scope)
        headers, path = Headers(scope=scope), str(scope["path"])
        refusal = check_origin(self.rules, headers, path)
        if refusal is None and asked is not None and is_page(path):
            await self._exchange(asked, scope)(scope, receive, send)
            return
        if refusal is None and at_open_port(self.rules, scope):
            refusal = None if is_jupyter(path) else NotFound("Only Jupyter's API answers at this port.")
        elif refusal is None and not self._open(path):
            refusal = self._admit(scope, headers, asked)
        if refusal is not None:
            raise refusal
        scope.setdefault("state", {})["owner"] = OWNER
        await self.app(scope, receive, send)

    def _open(self, path: str) -> bool:
        return path in OPEN_PATHS or path in self.rules.open_files or path.startswith(OPEN_PREFIXES)

    def _admit(self, scope: Scope, headers: Headers, asked: str | None) -> CellblockError | None:
        verdicts = {token_in_header(self.rules, headers), token_in_cookie(self.rules, headers)}
        if asked is not None:
            verdicts.add("right" if same(asked, self.rules.token) else "wrong")
        if "wrong" in verdicts:
            return Unauthorized("The token is wrong.")
        if "right" in verdicts or trusted(self.rules, scope, headers):
            return None
        return Unauthorized("A token is needed.")

    def _exchange(self, asked: str, scope: Scope) -> Response:
        """The page was opened by a URL with the token: the cookie takes its place, and the address bar loses it."""
        query = scope["query_string"].decode("latin-1")
        target = quote(scope["path"]) + (f"?{query}" if query else "")
        response = Response(None, 303, {"Location": target, "Cache-Control": "no-store"})
        if same(asked, self.rules.token):
            secure = scope.get("scheme") == "https"
            response.set_cookie(
                self.rules.cookie, self.rules.cookie_value, path="/", httponly=True, samesite="strict", secure=secure
            )
        return response


def is_page(path: str) -> bool:
    """Whether the page is at this path."""
    return path == "/" or path.startswith("/c/")


def names_of(hosts: Iterable[str]) -> frozenset[str]:
    """The names a server that listens on `hosts` is called by; loopback's always."""
    return LOOPBACK_NAMES | {host_name(f"[{host}]" if ":" in host else host) for host in hosts}
