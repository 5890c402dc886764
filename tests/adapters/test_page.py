"""The page and its fences, on a static directory made for the test."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from cellblock.adapters import page, problems

FRAME_CSP = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src data: blob:; media-src data: blob:; font-src data:; connect-src 'none'; "
    "frame-ancestors 'self'"
)


@pytest.fixture
def static(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "frame.html", "favicon.svg", "assets/app-1a2b.js"):
        (tmp_path / name).write_text(name)
    return tmp_path


def client(static: Path) -> TestClient:
    stack = [Middleware(page.SecurityHeaders), Middleware(problems.Guard)]
    return TestClient(
        Starlette(routes=page.routes(static), middleware=stack, exception_handlers=problems.HANDLERS)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("path", ["/", "/c/0b0e7b9e-0000-4000-8000-000000000000"])
def test_the_page_is_at_its_two_addresses(static: Path, path: str) -> None:
    answer = client(static).get(path)
    assert (answer.status_code, answer.text) == (200, "index.html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-src 'self'" in policy
    assert "script-src 'self';" in policy
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/c", "/c/a/b", "/index.html", "/anything", "/assets/none.js", "/assets/../index.html"]
)
def test_there_is_no_page_elsewhere(static: Path, path: str) -> None:
    answer = client(static).get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_the_frame_has_a_policy_of_its_own(static: Path) -> None:
    answer = client(static).get("/frame.html")
    assert answer.headers["content-security-policy"] == FRAME_CSP
    assert answer.headers["connection-allowlist"] == "(response-origin);webrtc=block"
    assert "access-control-allow-origin" not in answer.headers


def test_assets_are_kept_for_good_and_open_to_the_frame(static: Path) -> None:
    answer = client(static).get("/assets/app-1a2b.js")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "access-control-allow-origin" not in client(static).get("/").headers


def test_files_beside_the_page_are_served(static: Path) -> None:
    assert page.open_files(static) == {"/frame.html", "/favicon.svg"}
    assert client(static).get("/favicon.svg").text == "favicon.svg"


def test_a_missing_page_says_how_to_build_it(tmp_path: Path) -> None:
    answer = client(tmp_path).get("/")
    assert answer.status_code == 503
    assert "make run" in answer.text


def test_the_wrong_method_is_told_in_our_shape(static: Path) -> None:
    answer = client(static).post("/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
