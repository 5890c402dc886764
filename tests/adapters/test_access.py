"""Who may come in, over real sockets: a token, or a socket of the server's own user over loopback."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cellblock.adapters import access, peers
from cellblock.adapters.access import Access, Rules, host_allowed, names_of, origin_ours
from cellblock.adapters.problems import Guard

TOKEN = "the-start-token"
OPEN_TO_ALL_PYTHON = "/usr/bin/python3"


@contextmanager
def serving(app: Starlette, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, ws="none", log_config=None, access_log=False, proxy_headers=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def listening(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    listener.listen()
    return listener


async def whoami(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.state.owner} {request.url.query}")


def protected(rules: Rules) -> Starlette:
    paths = ["/", "/c/{id}", "/healthz", "/assets/{name}", "/api/me"]
    routes = [Route(path, whoami, methods=["GET", "POST"]) for path in paths]
    return Starlette(routes=routes, middleware=[Middleware(Guard), Middleware(Access, rules=rules)])


Ask = Callable[..., httpx2.Response]


@contextmanager
def asking(**changes: object) -> Iterator[Ask]:
    """Calls a protected server by `localhost`: `ask(path, headers…)`."""
    listener = listening()
    port = listener.getsockname()[1]
    rules = replace(Rules(TOKEN, port, shut_in=lambda: True), **changes)
    with serving(protected(rules), listener), httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def ask(path: str, method: str = "GET", **headers: str) -> httpx2.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.request(method, path, headers={"Host": f"localhost:{port}", **named})

        ask.port = port  # type: ignore[attr-defined]
        yield ask


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with asking() as asked:
        yield asked


@pytest.fixture(scope="module")
def ask_strictly() -> Iterator[Ask]:
    with asking(loopback_trust=False) as asked:
        yield asked


# the loopback rule


def test_ones_own_process_over_loopback_needs_no_token(ask: Ask) -> None:
    answer = ask("/api/me")
    assert (answer.status_code, answer.text) == (200, "local ")


@pytest.mark.parametrize(
    "header",
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "x-real-ip", "via", "cf-connecting-ip"],
)
def test_a_request_that_was_forwarded_is_not_ones_own(ask: Ask, header: str) -> None:
    answer = ask("/api/me", **{header: "127.0.0.1"})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorized"


def test_a_request_in_the_manner_of_nginx_is_not_ones_own(ask: Ask) -> None:
    assert b" 401 " in said(ask, b"GET /api/me HTTP/1.0\r\nHost: localhost\r\n\r\n")


@pytest.mark.parametrize("name", [b"Host", b"Origin"])
def test_a_request_that_names_itself_twice_is_refused(ask: Ask, name: bytes) -> None:
    ours = b"Host: localhost:%d\r\n" % ask.port  # type: ignore[attr-defined]
    twice = ours + b"".join(b"%s: http://evil.example\r\n" % name for _ in range(2))
    assert b" 403 " in said(ask, b"GET /api/me HTTP/1.1\r\nConnection: close\r\n" + twice + b"\r\n")


def said(ask: Ask, request: bytes) -> bytes:
    """The first line of the answer to some bytes."""
    with socket.create_connection(("127.0.0.1", ask.port), timeout=30) as connection:  # type: ignore[attr-defined]
        connection.sendall(request)
        return connection.makefile("rb").readline()


def test_the_rule_can_be_switched_off(ask_strictly: Ask) -> None:
    assert ask_strictly("/api/me").status_code == 401


def test_the_rule_needs_kernels_that_are_shut_in() -> None:
    with asking(shut_in=lambda: False) as ask:
        assert ask("/api/me").status_code == 401


def test_a_server_of_another_user_trusts_nobody_over_loopback() -> None:
    with asking(uid=os.getuid() + 1) as ask:
        assert ask("/api/me").status_code == 401


CLIENT = """
import sys, urllib.request, urllib.error
try:
    print(urllib.request.urlopen(sys.argv[1]).status)
except urllib.error.HTTPError as problem:
    print(problem.code)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not shutil.which(OPEN_TO_ALL_PYTHON), reason="needs a Python that other users may run")
def test_another_user_of_this_machine_needs_the_token(ask: Ask) -> None:
    url = f"http://127.0.0.1:{ask.port}/api/me"  # type: ignore[attr-defined]

    def status(target: str) -> str:
        command = [OPEN_TO_ALL_PYTHON, "-I", "-c", CLIENT, target]
        return subprocess.run(command, user=65534, group=65534, cwd="/", capture_output=True, text=True).stdout.strip()

    assert status(url) == "401"
    assert status(f"{url}?token={TOKEN}") == "200"


def test_a_socket_nobody_holds_any_more_belongs_to_nobody() -> None:
    with listening() as listener, socket.create_connection(listener.getsockname()) as client:
        ours, peer = listener.accept()
        with ours:
            assert peers.owner_of(peer, ours.getsockname()) == os.getuid()
            client.close()
            assert peers.owner_of(peer, ours.getsockname()) is None


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("look", [peers.by_diag, peers.by_table])
def test_both_tables_of_the_kernel_name_the_same_owner(family: socket.AddressFamily, look: Callable[..., int]) -> None:
    with listening(family) as listener, socket.create_connection(listener.getsockname()[:2]):
        ours, peer = listener.accept()
        with ours:
            near, far = (peers.plain(peer[0]), peer[1]), (peers.plain(ours.getsockname()[0]), ours.getsockname()[1])
            assert look(near, far) == os.getuid()
            assert look(far, near) == os.getuid()
            assert look(near, (far[0], 1)) is None


def test_a_client_on_a_mapped_address_is_found() -> None:
    with listening() as listener, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
        ours, peer = listener.accept()
        with ours:
            near, far = (peers.plain(peer[0]), peer[1]), (peers.plain("127.0.0.1"), ours.getsockname()[1])
            assert (peers.by_diag(near, far), peers.by_table(near, far)) == (os.getuid(), os.getuid())


def test_an_address_that_is_none_has_no_owner() -> None:
    assert peers.owner_of(("unix", 0), ("127.0.0.1", 1)) is None
    assert not peers.is_loopback("testclient")
    assert peers.is_loopback("::ffff:127.0.0.1")


# the token


@pytest.mark.parametrize("scheme", ["Bearer", "token", "bearer"])
def test_the_token_comes_in_a_header(ask_strictly: Ask, scheme: str) -> None:
    assert ask_strictly("/api/me", authorization=f"{scheme} {TOKEN}").status_code == 200


def test_the_token_in_the_query_is_taken_out_before_anybody_sees_it(ask_strictly: Ask) -> None:
    answer = ask_strictly(f"/api/me?a=1&token={TOKEN}&b=x%20y")
    assert (answer.status_code, answer.text) == (200, "local a=1&b=x+y")


@pytest.mark.parametrize("value", ["Bearer wrong", "token x", "Basic dTpw", "Bearer"])
def test_a_wrong_token_is_refused_even_where_none_is_needed(ask: Ask, value: str) -> None:
    answer = ask("/api/me", authorization=value)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert ask("/api/me?token=wrong").status_code == 401


def test_without_a_token_the_answer_says_how_to_send_one(ask_strictly: Ask) -> None:
    error = ask_strictly("/api/me").json()["error"]
    assert error["code"] == "unauthorized"
    assert "Authorization: Bearer" in error["hint"]


@pytest.mark.parametrize("path", ["/", "/c/5f2c", "/healthz", "/assets/x.js"])
def test_the_page_and_the_probes_need_no_token(ask_strictly: Ask, path: str) -> None:
    assert ask_strictly(path).status_code == 200


def test_the_page_exchanges_the_token_for_a_cookie_and_loses_it_from_its_address(ask_strictly: Ask) -> None:
    answer = ask_strictly(f"/c/abc?token={TOKEN}&theme=dark")
    assert (answer.status_code, answer.headers["location"]) == (303, "/c/abc?theme=dark")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert ask_strictly("/api/me", cookie=cookie.split(";")[0]).status_code == 200


def test_a_wrong_token_at_the_page_gives_no_cookie(ask_strictly: Ask) -> None:
    answer = ask_strictly("/?token=wrong")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "set-cookie" not in answer.headers


def test_a_cookie_of_an_earlier_start_shuts_nobody_out(ask: Ask) -> None:
    name = Rules(TOKEN, ask.port).cookie  # type: ignore[attr-defined]
    assert ask("/api/me", cookie=f"{name}=old").status_code == 200


# Host and Origin


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.7", "", "[::1"])
def test_a_host_that_is_not_ours_is_refused_everywhere(ask: Ask, host: str) -> None:
    for path in ("/", "/api/me", "/healthz", "/assets/x.js"):
        answer = ask(path, Host=host, authorization=f"Bearer {TOKEN}")
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "file://", "https://localhost"]
)
def test_a_foreign_origin_is_refused_even_with_the_token(ask: Ask, origin: str) -> None:
    for method in ("GET", "POST"):
        assert ask("/api/me", method, origin=origin, authorization=f"Bearer {TOKEN}").status_code == 403


def test_our_own_origin_is_let_in(ask: Ask) -> None:
    assert ask("/api/me", "POST", origin=f"http://localhost:{ask.port}").status_code == 200  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_a_request_that_a_browser_says_is_foreign_is_refused(ask: Ask, site: str, status: int) -> None:
    assert ask("/api/me", sec_fetch_site=site).status_code == status


def test_a_link_from_another_site_may_open_the_page(ask: Ask) -> None:
    assert ask("/", sec_fetch_site="cross-site").status_code == 200


def test_the_frame_without_an_origin_may_fetch_its_assets(ask: Ask) -> None:
    assert ask("/assets/x.js", origin="null").status_code == 200


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        *(("localhost:3000", True), ("LOCALHOST", True), ("[::1]:3000", True), ("box:3000", True), ("other", False)),
        *(("ext.example", True), ("ext.example:444", True), ("only.example:443", True), ("only.example:444", False)),
    ],
)
def test_the_operators_names_are_ours(host: str, allowed: bool) -> None:
    rules = Rules(TOKEN, 3000, names=names_of(["box"]), extra=frozenset({"ext.example", "only.example:443"}))
    assert host_allowed(rules, host) is allowed


def test_a_wildcard_bind_answers_to_addresses_but_not_to_other_names() -> None:
    rules = Rules(TOKEN, 3000, any_ip=True)
    assert host_allowed(rules, "192.0.2.7:3000")
    assert host_allowed(rules, "[2001:db8::1]:3000")
    assert not host_allowed(rules, "rebound.example")


def test_a_page_behind_a_proxy_is_ours_when_the_operator_named_it() -> None:
    rules = Rules(TOKEN, 3000, extra=frozenset({"ext.example"}))
    assert origin_ours(rules, "https://ext.example", "localhost:3000")
    assert not origin_ours(rules, "https://other.example", "localhost:3000")


def test_secrets_are_compared_in_constant_time_whatever_they_hold() -> None:
    assert access.same("ü", "ü")
    assert not access.same("\udcff", TOKEN)
