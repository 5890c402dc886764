"""One Jupyter server over HTTP: every answer bounded, checked, never redirected; the secret goes to that server alone.

What goes wrong is `Unanswered` (no answer, or one that is no answer) or `Refused` (an answer that says no). Neither holds
a secret. What is open is closed by `aclose`.
"""

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from cellblock import framing
from cellblock.content import Malformed, clean, plain
from cellblock.host.servers import JupyterServer, Remote

MAX_ANSWER = 4 << 20  # bytes of one JSON answer
MAX_VALUES = 200_000  # of one JSON answer: reading more of them would keep everybody waiting
MAX_COOKIES = 50  # of one server, or all are forgotten
MAX_REASON = 300
GONE = frozenset({404, 410})  # there is no such thing
MAX_REST = 300.0  # seconds a server may ask to be left alone
SUBPROTOCOLS = [Subprotocol(framing.V1)]  # the default one is offered by saying nothing
PINGS = 5.0  # seconds between two pings, and for an answer to one twice that

# Below this the libraries write headers, and with them the secret.
quiet = logging.getLogger("cellblock.remote.wire")
quiet.setLevel(logging.INFO)


class Unanswered(Exception):
    """No answer that can be used: why, as a sentence's part."""


class Refused(Exception):
    """The server has said no: `status`, and `rest`: seconds it wants to be left alone, None if it does not say."""

    def __init__(self, status: int, reason: str, rest: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {reason}")
        self.status, self.reason, self.rest = status, reason, rest


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        """Strict JSON, not too deep, of not too many values. Unanswered."""
        if len(self.body) > MAX_VALUES and sum(map(self.body.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise Unanswered(f"it answered with more than {MAX_VALUES:,} values")
        try:
            return plain(json.loads(self.body))
        except (ValueError, RecursionError, Malformed):
            raise Unanswered("it answered with something that is no JSON") from None

    def object(self) -> dict[str, Any]:
        found = self.json()
        if not isinstance(found, dict):
            raise Unanswered("it answered with something that is no object")
        return found


class _Unredirected(connect):
    """A WebSocket that goes nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class Rest:
    """One server's door."""

    def __init__(self, server: JupyterServer, remote: Remote) -> None:
        self.server, self._remote = server, remote
        secure = server.url.startswith("https:")
        self._tls = ssl.create_default_context() if secure else None
        if self._tls and remote.authority:
            self._tls.load_verify_locations(cafile=remote.authority)
        limits = httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30.0)
        self._http = httpx2.AsyncClient(
            verify=self._tls or False, trust_env=False, follow_redirects=False, limits=limits
        )
        self._login = asyncio.Lock()
        self._logins = 0

    async def aclose(self) -> None:
        await self._http.aclose()

    # asking

    async def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        timeout: float,
        limit: int = MAX_ANSWER,
    ) -> Answer:
        """A 2xx answer to a request with a JSON body; `timeout` is for all of it. Unanswered, Refused."""
        content = json.dumps(body).encode() if body is not None else None
        logins = self._logins
        try:
            return await self._asked(method, path, content, query, timeout, limit)
        except Refused as refusal:
            if refusal.status not in (401, 403) or not self._by_login:
                raise
        await self._log_in(logins, timeout)
        return await self._asked(method, path, content, query, timeout, limit)

    async def _asked(
        self, method: str, path: str, content: bytes | None, query: Mapping[str, str] | None, timeout: float, limit: int
    ) -> Answer:
        try:
            async with asyncio.timeout(timeout), self._sent(method, self._url(path, query), content) as response:
                return await _read(response, limit)
        except (httpx2.HTTPError, httpx2.StreamError, OSError, TimeoutError) as problem:
            raise Unanswered(_why(problem)) from None

    @asynccontextmanager
    async def stream(self, path: str, *, timeout: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a GET, as they come; `timeout` is for each of them. Unanswered, Refused, from within too."""
        try:
            async with asyncio.timeout(None) as patience:
                clock = asyncio.get_running_loop().time
                patience.reschedule(clock() + timeout)
                async with self._sent("GET", self._url(path, None), None) as response:
                    if response.status_code != 200:
                        await _read(response, MAX_ANSWER)
                        raise Unanswered(f"it answered HTTP {response.status_code}")

                    async def chunks() -> AsyncIterator[bytes]:
                        async for chunk in response.aiter_raw():
                            patience.reschedule(clock() + timeout)
                            yield chunk

                    yield chunks()
        except (httpx2.HTTPError, httpx2.StreamError, OSError, TimeoutError) as problem:
            raise Unanswered(_why(problem)) from None

    def _sent(self, method: str, url: str, content: bytes | None) -> Any:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **self._secrets()}
        mark = self._mark(url)
        if method != "GET" and mark:
            headers["X-XSRFToken"] = mark
        if content is not None:
            headers["Content-Type"] = "application/json"
        return self._http.stream(method, url, content=content, headers=headers, timeout=None)

    async def socket(
        self, path: str, query: Mapping[str, str], *, max_message: int, timeout: float
    ) -> ClientConnection:
        """A WebSocket below the server's address, in the binary format where the server has it. Unanswered, Refused."""
        url = "ws" + self._url(path, query).removeprefix("http")
        headers = self._secrets()
        if cookies := self._cookies(self._url(path, None)):
            headers["Cookie"] = cookies
        try:
            return await _Unredirected(
                url,
                additional_headers=headers,
                subprotocols=SUBPROTOCOLS or None,
                ssl=self._tls,
                proxy=None,
                compression=None,
                max_size=max_message,
                max_queue=4,
                open_timeout=timeout,
                close_timeout=1.0,
                ping_interval=PINGS,
                ping_timeout=2 * PINGS,
                logger=quiet,
            )
        except InvalidStatus as refusal:
            raise Refused(refusal.response.status_code, "no WebSocket") from None
        except (InvalidHandshake, OSError, TimeoutError, ValueError) as problem:
            raise Unanswered(_why(problem)) from None

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self.server.url}/{quote(path)}" + (f"?{urlencode(query)}" if query else "")

    def _cookies(self, url: str) -> str:
        """What a request to there has in its header of cookies; of one name the nearest comes first."""
        if len(self._http.cookies.jar) > MAX_COOKIES:
            self._http.cookies.clear()
        return str(self._http.build_request("GET", url).headers.get("cookie", ""))

    def _mark(self, url: str) -> str:
        """Of a server that knows its own forms by a cookie."""
        pairs = (pair.partition("=") for pair in self._cookies(url).split("; "))
        return next((value for name, _, value in pairs if name == "_xsrf"), "")

    # getting in

    @property
    def _by_login(self) -> bool:
        return self._remote.password is not None and self._remote.username is None

    def _secrets(self) -> dict[str, str]:
        remote = self._remote
        if self.server.token:
            return {remote.header: f"{remote.scheme} {self.server.token}".strip()}
        if remote.username is not None:
            pair = f"{remote.username}:{remote.password or ''}".encode()
            return {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        return {}

    async def _log_in(self, logins: int, timeout: float) -> None:
        """As a browser does: the form's mark against forged requests, the password, and a cookie from then on."""
        async with self._login:
            if self._logins != logins:
                return  # somebody else has, meanwhile
            self._http.cookies.clear()
            try:
                async with asyncio.timeout(timeout):
                    async with self._http.stream("GET", self._url("login", None), timeout=None) as form:
                        await _read(form, MAX_ANSWER)
                    await self._send_password()
            except (httpx2.HTTPError, httpx2.StreamError, OSError, TimeoutError) as problem:
                raise Unanswered(_why(problem)) from None
            self._logins += 1

    async def _send_password(self) -> None:
        url = self._url("login", None)
        fields = {"password": self._remote.password or "", "_xsrf": self._mark(url)}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self._http.stream("POST", url, content=urlencode(fields), headers=headers, timeout=None) as answer:
            if answer.status_code != 302:
                raise Refused(answer.status_code, "the password was not taken")


async def _read(response: httpx2.Response, limit: int) -> Answer:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Unanswered("it answered in an encoding nobody asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise Unanswered(f"it answered with more than {limit:,} bytes")
    answer = Answer(response.status_code, bytes(body))
    if 200 <= response.status_code < 300:
        return answer
    if 300 <= response.status_code < 400:
        raise Refused(response.status_code, "it sends requests elsewhere, and they do not follow")
    raise Refused(response.status_code, reason_in(answer), rest_in(response.headers.get("retry-after")))


def reason_in(answer: Answer) -> str:
    """What the server says of a refusal, one short line."""
    try:
        said = answer.object()
    except Unanswered:
        return "no reason given"
    reason = said.get("reason") or said.get("message")
    return " ".join(clean(reason).split())[:MAX_REASON] if isinstance(reason, str) and reason else "no reason given"


def rest_in(header: str | None) -> float | None:
    """Seconds of a Retry-After, bounded."""
    return min(float(header), MAX_REST) if header and header.isascii() and header.isdigit() else None


def _why(problem: BaseException) -> str:
    if isinstance(problem, TimeoutError | httpx2.TimeoutException):
        return "it did not answer in time"
    if (
        isinstance(problem, ssl.SSLError)
        or isinstance(problem.__cause__, ssl.SSLError)
        or "CERTIFICATE" in str(problem)
    ):
        return "its certificate is not trusted"
    if isinstance(problem, httpx2.ConnectError | ConnectionRefusedError):
        return "it cannot be connected to"
    return "the connection to it broke"
