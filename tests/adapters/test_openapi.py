"""The OpenAPI document tells the truth: what it allows is answered as it says, and nothing makes the server fail."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from live_server import Live
from schemathesis import checks

from cellblock import app

schema = schemathesis.openapi.from_dict(app.openapi())
# Streams have no end to wait for, and a question takes its time; both have tests of their own.
TESTED = schema.exclude(path_regex="/events$").exclude(path_regex="^/api/chat$", method="POST")
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


Ids = dict[str, str]


@pytest.fixture
def ids(live: Live) -> Iterator[tuple[Ids, Ids]]:
    """A session with a cell, and its execution: path parameters for routes below kernel and below execute."""
    kernel = live.create(title="OpenAPI")
    result = live.post("/api/jupyter/execute", json={"code": "word = 1; print(1)", "kernel_id": kernel}).json()
    live.put(f"/api/jupyter/kernel/{kernel}/files/a.txt", content=b"a")
    link = live.post(f"/api/chat/{kernel}/shares").json()
    yield (
        {
            "id": kernel,
            "cell_id": result["cell_id"],
            "path": "a.txt",
            "name": "word",
            "share_id": link["id"],
            "answer_id": "none",
            "at": "0",
        },
        {"id": result["id"], "path": "a.txt"},
    )
    live.delete(f"/api/jupyter/kernel/{kernel}")


@TESTED.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_route_answers_as_the_document_says(live: Live, ids: tuple[Ids, Ids], case: schemathesis.Case) -> None:
    known = ids[1] if case.path.startswith("/api/jupyter/execute") else ids[0]
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known[name]
    if case.path == "/api/jupyter/execute" and isinstance(case.body, dict) and isinstance(case.body.get("code"), str):
        case.body["code"] = "1"
    case.call_and_validate(base_url=str(live.base_url).rstrip("/"), checks=CHECKS)
