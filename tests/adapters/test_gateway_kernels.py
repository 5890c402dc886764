"""Jupyter's REST API for kernels, kernelspecs and sessions, as its clients call it."""

from typing import Any

import pytest
from live_server import Live
from talking import talking, text


def test_the_server_says_which_api_it_has(live: Live) -> None:
    assert live.get("/api").json()["version"].startswith("2.")


def test_one_status_serves_both(live: Live, kernel: str) -> None:
    before = live.get("/api/status").json()
    assert {"version", "ready", "sandbox", "kernels", "started", "last_activity", "connections"} <= set(before)
    with talking(live, kernel) as talk:
        talk.run("1")
        status = live.get("/api/status").json()
        assert status["connections"] == before["connections"] + 1
        assert status["started"] <= before["last_activity"] <= status["last_activity"]


def test_environments_are_kernelspecs_with_pictures(live: Live) -> None:
    specs = live.get("/api/kernelspecs").json()
    assert specs["default"] == "python3"
    spec = specs["kernelspecs"]["python3"]
    assert (spec["name"], spec["spec"]["display_name"], spec["spec"]["language"]) == ("python3", "Python 3", "python")
    assert live.get("/api/kernelspecs/python").json() == live.get("/api/kernelspecs/python3").json() == spec
    picture = live.get(spec["resources"]["logo-64x64"])
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    for path in ("/api/kernelspecs/none", "/kernelspecs/python3/kernel.json", "/kernelspecs/python3/..%2Fkernelapp.py"):
        assert live.get(path).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{}", b'{"name": "python3"}', b'{"name": "python", "env": {"KERNEL_X": "1"}}'])
def test_a_kernel_is_a_session_and_ends_without_it(live: Live, body: bytes) -> None:
    made = live.post("/api/kernels", content=body)
    model = made.json()
    id = model["id"]
    assert (made.status_code, made.headers["location"], model["name"]) == (201, f"/api/kernels/{id}", "python3")
    assert model["execution_state"] in ("starting", "idle")
    assert (model["connections"], set(model)) == (
        0,
        {"id", "name", "last_activity", "execution_state", "connections"},
    )
    assert id in [each["id"] for each in live.get("/api/kernels").json()]
    assert live.get(f"/api/kernels/{id}").json()["id"] == id
    assert live.delete(f"/api/kernels/{id}").status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/interrupt"), ("POST", "/restart")):
        assert live.request(method, f"/api/kernels/{id}{path}").status_code == 404
    assert id not in [each["id"] for each in live.get("/api/kernels").json()]
    assert live.get(f"/api/jupyter/kernel/{id}").json()["state"] == "released"
    assert live.delete(f"/api/jupyter/kernel/{id}").status_code == 204


def test_warm_kernels_that_nobody_asked_for_are_not_listed(live: Live) -> None:
    assert live.get("/api/status").json()["pool"]["size"] == 1
    listed = {each["id"] for each in live.get("/api/kernels").json()}
    assert listed <= {each["id"] for each in live.get("/api/jupyter/kernel?limit=200").json()["items"]}


def test_a_kernel_restarts_and_is_interrupted_over_rest(live: Live, kernel: str) -> None:
    with talking(live, kernel) as talk:
        talk.run("x = 1")
        assert live.post(f"/api/kernels/{kernel}/restart").json()["id"] == kernel
        assert "NameError" in [said["content"].get("ename") for said in talk.run("x")]
        id = talk.execute("print('on', flush=True)\nwhile True: pass")
        talk.until(lambda said: said["msg_type"] == "stream")
        assert live.get(f"/api/kernels/{kernel}").json()["execution_state"] == "busy"
        assert live.post(f"/api/kernels/{kernel}/interrupt").status_code == 204
        assert "KeyboardInterrupt" in [said["content"].get("ename") for said in talk.answers(id)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/kernels/00000000-0000-4000-8000-000000000000", None, 404),
        ("POST", "/api/kernels", b"{", 422),
        ("POST", "/api/kernels", b"[]", 422),
        ("POST", "/api/kernels", b'{"name": 1}', 422),
        ("POST", "/api/kernels", b'{"name": "cobol"}', 404),
        ("POST", "/api/sessions", b'{"kernel": "python3"}', 422),
        ("POST", "/api/sessions", b'{"path": "a", "kernel": {"id": "nobody"}}', 404),
        ("GET", "/api/sessions/nobody", None, 404),
        ("DELETE", "/api/kernelspecs", None, 405),
        ("GET", "/api/kernels/a/b", None, 404),
        ("GET", "/api/contents/..%2Fetc%2Fpasswd", None, 400),
    ],
)
def test_errors_have_jupyters_shape(live: Live, method: str, path: str, body: bytes | None, status: int) -> None:
    answer = live.request(method, path, content=body)
    assert answer.status_code == status
    assert {"message", "reason"} <= set(answer.json())


# sessions


def start(live: Live, **body: Any) -> dict[str, Any]:
    made = live.post("/api/sessions", json=body)
    assert made.status_code == 201, made.text
    model: dict[str, Any] = made.json()
    return model


def test_a_notebook_of_a_clients_own_gets_a_kernel_and_keeps_it(live: Live) -> None:
    asked = {"path": "work/Sales of May.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
    made = start(live, **asked)
    assert (made["path"], made["name"], made["type"]) == (asked["path"], "Sales of May.ipynb", "notebook")
    assert made["kernel"]["id"] == made["id"]
    assert start(live, **asked)["id"] == made["id"]
    assert live.get(f"/api/jupyter/kernel/{made['id']}").json()["title"] == "Sales of May"
    assert made["id"] in [each["id"] for each in live.get("/api/sessions").json()]
    moved = live.patch(f"/api/sessions/{made['id']}", json={"path": "work/June.ipynb", "name": "June.ipynb"}).json()
    assert (moved["path"], moved["name"], moved["id"]) == ("work/June.ipynb", "June.ipynb", made["id"])
    assert live.delete(f"/api/sessions/{made['id']}").status_code == 204
    assert live.get(f"/api/sessions/{made['id']}").status_code == 404
    assert live.get(f"/api/jupyter/kernel/{made['id']}").json()["state"] == "released"


def test_a_session_that_is_refused_has_started_no_kernel(live: Live) -> None:
    before = live.get("/api/kernels").json()
    for wrong in ({"name": 5}, {"type": ["notebook"]}):
        refused = live.post("/api/sessions", json={"path": "wrong.ipynb", "kernel": {"name": "python3"}, **wrong})
        assert refused.status_code == 422
    assert [each["id"] for each in live.get("/api/kernels").json()] == [each["id"] for each in before]


def test_a_path_in_a_sessions_folder_leads_to_its_kernel_also_after_a_release(live: Live) -> None:
    kernel = live.create(title="Storms")
    path = f"Storms ({kernel[:8]})/notebook.ipynb"
    with talking(live, kernel) as talk:
        talk.run("x = 1")
    assert start(live, path=path, type="notebook", kernel={"name": "python3"})["id"] == kernel
    live.delete(f"/api/sessions/{kernel}")
    assert start(live, path=path, type="notebook", kernel={})["kernel"]["id"] == kernel
    with talking(live, kernel) as talk:
        assert text(talk.run("print('fresh')")) == "fresh\n"


@pytest.mark.parametrize("own", [True, False])
def test_a_notebook_that_was_given_another_kernel_keeps_it(live: Live, kernel: str, own: bool) -> None:
    other = live.create()
    path = f"Untitled ({kernel[:8]})/notebook.ipynb" if own else "flipped.ipynb"
    start(live, path=path, type="notebook", kernel={"id": kernel})
    live.patch(f"/api/sessions/{kernel}", json={"kernel": {"id": other}})
    assert start(live, path=path, type="notebook", kernel={"name": "python3"})["kernel"]["id"] == other
    shown = {each["kernel"]["id"] for each in live.get("/api/sessions").json() if each["path"] == path}
    assert shown == ({kernel, other} if own else {other})
    live.delete(f"/api/sessions/{other}")
    if own:  # its session is still there
        assert start(live, path=path, type="notebook", kernel={})["kernel"]["id"] == kernel


def test_a_session_takes_a_kernel_that_is_there_or_the_same_one_afresh(live: Live, kernel: str) -> None:
    other = live.create()
    made = start(live, path="one.ipynb", type="notebook", kernel={"id": kernel})
    assert made["kernel"]["id"] == kernel
    changed = live.patch(f"/api/sessions/{kernel}", json={"kernel": {"id": other}}).json()
    assert (changed["kernel"]["id"], changed["path"]) == (other, "one.ipynb")
    with talking(live, other) as talk:
        talk.run("x = 1")
        assert live.patch(f"/api/sessions/{other}", json={"kernel": {"name": "python3"}}).json()["id"] == other
        assert "NameError" in [said["content"].get("ename") for said in talk.run("x")]
