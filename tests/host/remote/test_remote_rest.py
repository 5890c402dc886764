"""One server over HTTP: ways in, base paths, certificates, and answers that are not to be trusted."""

import logging
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateways import QUICK, STEADY, TOKEN, Begin, Gateway, state
from interpreting import text
from jupyter_server.auth import passwd
from odd import Odd

from cellblock.host.remote.rest import MAX_ANSWER, MAX_COOKIES, MAX_VALUES, Refused, Rest, Unanswered
from cellblock.host.servers import JupyterServer, Remote, server_at

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def door(server: JupyterServer, remote: Remote = QUICK) -> AsyncIterator[Rest]:
    rest = Rest(server, remote)
    try:
        yield rest
    finally:
        await rest.aclose()


async def asked(rest: Rest, path: str = "api/kernelspecs", timeout: float = 60.0) -> dict[str, Any]:
    return (await rest.ask("GET", path, timeout=timeout)).object()


async def test_a_token_opens_and_a_wrong_one_does_not(gateway: Gateway) -> None:
    async with door(gateway.server) as rest:
        assert "python3" in (await asked(rest))["kernelspecs"]
    async with door(replace(gateway.server, token="wrong")) as rest:
        with pytest.raises(Refused, match="401"):
            await asked(rest)


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
async def test_the_header_and_its_scheme_are_the_operators(scheme: str, server: Gateway) -> None:
    remote = replace(QUICK, scheme=scheme)
    async with door(server.server, remote) as rest:
        assert await asked(rest)
    async with Odd("tells", "") as odd, door(odd.server, replace(remote, header="X-Api-Key", scheme="")) as rest:
        assert f"x-api-key: {TOKEN}" in str((await asked(rest))["head"]).lower()


async def test_basic_authentication(server: Gateway) -> None:
    async with Odd("tells", "") as odd:
        remote = replace(QUICK, username="ada", password="pass")
        async with door(replace(odd.server, token=None), remote) as rest:
            assert "authorization: basic ywrhonbhc3m=" in str((await asked(rest))["head"]).lower()


async def test_a_password_logs_in_as_a_browser_does(gateways: Any, begin: Begin) -> None:
    hashed = passwd("open up", "sha256")
    options = [f"--PasswordIdentityProvider.hashed_password={hashed}", "--ServerApp.base_url=/base/"]
    (locked,) = await gateways(1, *options, kind="server", path="/base", token="")
    bare = locked.server
    bench = await begin(bare, remote=replace(STEADY, password="open up"))
    await state(bench, bare.name, "healthy")
    kernel_id = await bench.kernel()
    result = await bench.run("open('a', 'w').write('1'); 6 * 7", kernel_id)
    assert (text(result), [each["path"] for each in result["files"]]) == ("42", ["a"])
    async with door(bare, replace(QUICK, password="wrong")) as rest:
        with pytest.raises(Refused):
            await asked(rest)
    async with door(bare) as rest:
        with pytest.raises(Refused):
            await asked(rest)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that only itself vouches for, and its key."""
    place = tmp_path_factory.mktemp("tls")
    pem, key = place / "pem", place / "key"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*made, *subject, "-keyout", key, "-out", pem], check=True, capture_output=True)
    return pem, key


async def test_https_with_a_private_authority(gateways: Any, begin: Begin, certificate: tuple[Path, Path]) -> None:
    pem, key = certificate
    options = [f"--KernelGatewayApp.certfile={pem}", f"--KernelGatewayApp.keyfile={key}"]
    (secure,) = await gateways(1, *options, scheme="https")
    bench = await begin(secure.server, remote=replace(STEADY, authority=pem))
    await state(bench, secure.server.name, "healthy")
    assert text(await bench.run("6 * 7", await bench.kernel())) == "42"
    async with door(secure.server) as rest:
        with pytest.raises(Unanswered, match="certificate"):
            await asked(rest)
        with pytest.raises(Unanswered, match="certificate"):
            await rest.socket("api/kernels/x/channels", {}, max_message=1 << 20, timeout=60.0)


async def test_an_authority_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        Rest(server_at("https://127.0.0.1"), replace(QUICK, authority=tmp_path / "pem"))


@pytest.mark.parametrize(
    ("oddity", "problem"),
    [
        ("fails", "500: it is broken"),
        ("refuses", "401"),
        ("slow", "did not answer in time"),
        ("talks for ever", f"more than {MAX_ANSWER:,} bytes"),
        ("no json", "no JSON"),
        ("deep", "no JSON"),
        ("many values", f"more than {MAX_VALUES:,} values"),
        ("redirects", "302"),
        ("hangs up", "broke"),
        ("squeezes", "encoding"),
    ],
)
async def test_what_is_no_answer_is_told_as_such(oddity: str, problem: str) -> None:
    async with Odd(oddity) as odd, door(odd.server) as rest:
        with pytest.raises((Unanswered, Refused), match=problem):
            await asked(rest, timeout=2.0 if oddity == "slow" else 60.0)
        assert odd.elsewhere == []


@pytest.mark.parametrize("oddity", ["fails", "refuses", "slow", "no json", "redirects", "hangs up"])
async def test_no_websocket_leads_elsewhere(oddity: str) -> None:
    async with Odd(oddity) as odd, door(odd.server) as rest:
        with pytest.raises((Unanswered, Refused)):
            await rest.socket(
                "api/kernels/x/channels", {}, max_message=1 << 20, timeout=1.0 if oddity == "slow" else 60.0
            )
        assert odd.elsewhere == []


async def test_cookies_are_bounded_and_the_nearest_of_a_name_counts() -> None:
    async with Odd("bakes") as odd, door(odd.server) as rest:
        for _ in range(3 * MAX_COOKIES):
            head = (await asked(rest))["head"]
            assert head.count("=1") <= MAX_COOKIES
        posted = (await rest.ask("POST", "api/kernels", {}, timeout=60.0)).object()["head"].lower()
        assert "x-xsrftoken: near" in posted
        assert "_xsrf=near; _xsrf=far" in posted
        with pytest.raises(Refused, match="no WebSocket"):
            await rest.socket("api/kernels/x/channels", {}, max_message=1 << 20, timeout=60.0)


async def test_no_secret_is_in_a_log_or_an_error(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with door(gateway.server) as rest:
        await asked(rest)
        with pytest.raises(Refused) as refused:
            await rest.socket(
                "api/kernels/00000000-0000-0000-0000-000000000000/channels", {}, max_message=1, timeout=60.0
            )
    async with Odd("fails") as odd, door(odd.server) as rest:
        with pytest.raises(Refused) as failed:
            await asked(rest)
    assert caplog.records
    said = [record.getMessage() for record in caplog.records]
    assert not [line for line in (*said, str(refused.value), str(failed.value), repr(gateway.server)) if TOKEN in line]
