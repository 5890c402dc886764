"""Every failure in one shape, whoever raised it; never a traceback."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from cellblock.adapters import problems
from cellblock.adapters.limits import BodyLimit
from cellblock.errors import CellblockError, NoMemory, StaleRevision


class Body(BaseModel):
    code: str


app = FastAPI(
    middleware=[Middleware(problems.Guard), Middleware(BodyLimit, limit=100)], exception_handlers=problems.HANDLERS
)


@app.get("/stale")
async def stale() -> None:
    raise StaleRevision("The notebook is at revision 3.", current={"revision": 3})


@app.get("/full")
async def full() -> None:
    raise NoMemory("This machine is full.", retry_after=1.2)


@app.get("/bug")
async def bug() -> None:
    raise RuntimeError("a secret detail")


@app.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, "I am a teapot")


@app.post("/body")
async def body(body: Body) -> Body:
    return body


@app.get("/cut")
async def cut() -> StreamingResponse:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("in the middle")

    return StreamingResponse(pieces())


def about(lines: Sequence[Mapping[str, Any]], path: str) -> list[Mapping[str, Any]]:
    """The log lines about one path: a live server of other tests may log, too."""
    return [line for line in lines if line.get("path") == path]


@pytest.fixture
def client() -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def test_an_error_of_ours_has_code_message_hint_and_fields(client: TestClient) -> None:
    answer = client.get("/stale")
    assert answer.status_code == 409
    assert answer.json() == {
        "error": {
            "code": "stale_revision",
            "message": "The notebook is at revision 3.",
            "hint": StaleRevision.default_hint,
            "fields": [],
        },
        "current": {"revision": 3},
    }


def test_when_to_try_again_is_a_header(client: TestClient) -> None:
    answer = client.get("/full")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_a_bug_is_logged_under_the_id_that_the_caller_gets(client: TestClient) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = client.get("/bug")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    (line,) = about(lines, "/bug")
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["exc_info"] is True


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("PUT", "/stale", 405, "method_not_allowed")],
)
def test_what_the_framework_refuses_has_our_shape(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"].endswith(".")


def test_a_status_we_have_no_error_for_keeps_its_words(client: TestClient) -> None:
    assert client.get("/teapot").json()["error"]["message"] == "I am a teapot"


def test_a_request_that_does_not_fit_names_the_field(client: TestClient) -> None:
    error = client.post("/body", json={"code": 3}).json()["error"]
    assert error["fields"] == [{"path": "code", "message": "Input should be a valid string"}]
    assert error["message"] == "code: Input should be a valid string"


def test_a_large_body_is_refused_by_its_announcement_and_by_its_pieces(client: TestClient) -> None:
    announced = client.post("/body", json={"code": "x" * 200})
    in_pieces = client.post(
        "/body", content=(b'{"code": "' + b"x" * 60 for _ in range(3)), headers={"Content-Type": "application/json"}
    )
    for answer in (announced, in_pieces):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_half_an_answer_is_cut_and_logged() -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(RuntimeError, match="in the middle"):
        TestClient(app).get("/cut")
    assert [line["event"] for line in about(lines, "/cut")] == ["request_failed"]


async def test_a_client_that_leaves_while_it_sends_is_no_failure() -> None:
    async def reading(*_: object) -> None:
        raise ClientDisconnect

    async def nothing(*_: object) -> None:
        pytest.fail("there is nobody to answer")

    with structlog.testing.capture_logs() as lines:
        await problems.Guard(reading)({"type": "http", "method": "PUT", "path": "/left"}, nothing, nothing)  # type: ignore[arg-type]
    assert [(line["event"], line["log_level"]) for line in about(lines, "/left")] == [("client_left", "info")]


def test_every_status_of_the_tree_has_its_own_error() -> None:
    for status, kind in problems.BY_STATUS.items():
        assert issubclass(kind, CellblockError)
        assert kind.status == status or status == 400
