"""Sessions over HTTP: their life, their notebook under revisions, and what a page hears that watches."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from live_server import Live

KERNELS = "/api/jupyter/kernel"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def run(live: Live, kernel: str, code: str, **fields: Any) -> dict[str, Any]:
    result: dict[str, Any] = live.post(
        "/api/jupyter/execute", json={"code": code, "kernel_id": kernel, **fields}
    ).json()
    return result


def test_a_session_is_created_read_and_deleted(live: Live) -> None:
    answer = live.post(KERNELS, json={"title": "Sales"})
    kernel = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{KERNELS}/{kernel['id']}"
    assert set(kernel) == {
        *("id", "title", "environment", "state", "sandbox", "queue", "execution_count", "created", "last_used"),
        "memory_bytes",
    }
    assert (kernel["title"], kernel["environment"], kernel["queue"]) == ("Sales", "python3", 0)
    assert live.get(f"{KERNELS}/{kernel['id']}").json()["id"] == kernel["id"]
    gone = live.delete(f"{KERNELS}/{kernel['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert live.get(f"{KERNELS}/{kernel['id']}").json()["error"]["code"] == "kernel_not_found"


def test_an_empty_body_makes_a_session(live: Live) -> None:
    answer = live.post(KERNELS)
    assert answer.status_code == 201
    live.delete(answer.headers["location"])


def test_an_environment_that_is_not_there_is_told(live: Live) -> None:
    answer = live.post(KERNELS, json={"environment": "fortran"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "environment_not_found")


def test_sessions_are_listed_page_by_page(live: Live) -> None:
    made = [live.create(title=f"page {number}") for number in range(3)]
    seen, after = [], None
    while True:
        page = live.get(KERNELS, params={"limit": 2, **({"after": after} if after else {})}).json()
        assert len(page["items"]) <= 2
        seen += [kernel["id"] for kernel in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert set(made) <= set(seen)
    assert len(seen) == len(set(seen))
    for id in made:
        live.delete(f"{KERNELS}/{id}")


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=many"])
def test_a_page_has_a_sensible_size(live: Live, query: str) -> None:
    answer = live.get(f"{KERNELS}?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["fields"][0]["path"] == "query.limit"


def test_a_released_kernel_frees_its_process_and_keeps_the_session(live: Live, kernel: str) -> None:
    run(live, kernel, "x = 1\nopen('kept.txt', 'w').close()")
    assert live.post(f"{KERNELS}/{kernel}/release").json()["state"] == "released"
    result = run(live, kernel, "import os; print(os.listdir('.')); 'x' in globals()")
    assert "kept.txt" in result["outputs"][0]["text"]
    assert result["outputs"][1]["data"]["text/plain"] == "False"
    assert result["notice"]


def test_a_restart_forgets_variables_and_keeps_the_id(live: Live, kernel: str) -> None:
    run(live, kernel, "x = 1")
    assert live.post(f"{KERNELS}/{kernel}/restart").json()["id"] == kernel
    assert run(live, kernel, "'x' in globals()")["outputs"][0]["data"]["text/plain"] == "False"


def test_an_idle_kernel_is_interrupted_in_vain(live: Live, kernel: str) -> None:
    run(live, kernel, "x = 1")
    assert live.post(f"{KERNELS}/{kernel}/interrupt").json()["state"] == "idle"
    assert run(live, kernel, "x")["status"] == "ok"


def test_a_kernel_completes_inspects_and_tells_its_variables(live: Live, kernel: str) -> None:
    run(live, kernel, "import pandas as pd\nframe = pd.DataFrame({'a': [1, 2]})")
    reply = live.post(f"{KERNELS}/{kernel}/complete", json={"code": "frame.colu", "cursor_pos": 10}).json()
    assert "columns" in "".join(reply["matches"])
    reply = live.post(f"{KERNELS}/{kernel}/inspect", json={"code": "frame", "cursor_pos": 5}).json()
    assert reply["found"]
    assert "DataFrame" in reply["data"]["text/plain"]
    (variable,) = [v for v in live.get(f"{KERNELS}/{kernel}/variables").json() if v["name"] == "frame"]
    assert (variable["type"], variable["shape"]) == ("pandas.DataFrame", [2, 1])
    table = live.get(f"{KERNELS}/{kernel}/variables/frame", params={"sort": 0, "descending": True, "limit": 1}).json()
    assert (table["kind"], table["total"], table["index"], table["rows"]) == ("table", 2, ["1"], [["2"]])
    missing = live.get(f"{KERNELS}/{kernel}/variables/nothing")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "variable_not_found")


# the notebook


def notebook(live: Live, kernel: str) -> dict[str, Any]:
    answer = live.get(f"{KERNELS}/{kernel}/notebook")
    view: dict[str, Any] = answer.json()
    assert answer.headers["etag"] == f'"{view["revision"]}"'
    return view


def test_cells_are_added_edited_moved_and_deleted(live: Live, kernel: str) -> None:
    cells = f"{KERNELS}/{kernel}/notebook/cells"
    answer = live.post(cells, json={"type": "code", "source": "1"})
    assert answer.status_code == 201
    first = answer.json()["cells"][0]["id"]
    live.post(cells, json={"type": "markdown", "source": "# Title"})
    view = live.post(cells, json={"type": "code", "source": "2", "after": first}).json()
    assert [cell["source"] for cell in view["cells"]] == ["1", "2", "# Title"]
    view = live.patch(f"{cells}/{first}", json={"source": "one"}).json()
    assert view["cells"][0]["source"] == "one"
    title = view["cells"][2]["id"]
    view = live.post(f"{cells}/{title}/move", json={"after": None}).json()
    assert [cell["source"] for cell in view["cells"]] == ["# Title", "one", "2"]
    view = live.delete(f"{cells}/{title}").json()
    assert [cell["source"] for cell in view["cells"]] == ["one", "2"]
    view = live.post(f"{cells}/{title}/restore", json={"after": first}).json()
    assert [cell["source"] for cell in view["cells"]] == ["one", "# Title", "2"]
    view = live.patch(f"{cells}/{first}", json={"outputs_hidden": True}).json()
    assert view["cells"][0]["metadata"] == {"jupyter": {"outputs_hidden": True}}


def test_changes_are_made_in_order_and_one_whose_cell_is_gone_is_passed_over(live: Live, kernel: str) -> None:
    changes: list[dict[str, Any]] = [
        {"kind": "add", "type": "code", "source": "1", "id": "first"},
        {"kind": "add", "type": "code", "source": "2", "id": "second"},
        {"kind": "move", "cell_id": "second", "after": None},
        {"kind": "delete", "cell_id": "nowhere"},
        {"kind": "edit", "cell_id": "second", "source": "two", "outputs_hidden": True},
        {"kind": "delete", "cell_id": "first"},
        {"kind": "restore", "cell_id": "first", "after": "second"},
        {"kind": "move", "cell_id": "first", "after": "nowhere"},
    ]
    answer = live.post(f"{KERNELS}/{kernel}/notebook/changes", json={"changes": changes})
    assert [(cell["id"], cell["source"]) for cell in answer.json()["cells"]] == [("second", "two"), ("first", "1")]
    assert answer.json() == notebook(live, kernel)


def test_a_change_of_no_known_kind_is_refused_with_all_others(live: Live, kernel: str) -> None:
    changes = [{"kind": "add", "type": "code"}, {"kind": "paint", "cell_id": "c"}]
    answer = live.post(f"{KERNELS}/{kernel}/notebook/changes", json={"changes": changes})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")
    assert notebook(live, kernel)["cells"] == []


def test_a_stale_edit_changes_nothing_and_brings_the_current_notebook(live: Live, kernel: str) -> None:
    cells = f"{KERNELS}/{kernel}/notebook/cells"
    before = notebook(live, kernel)["revision"]
    mine = live.post(cells, json={"type": "code", "source": "mine"}, headers={"If-Match": str(before)})
    assert mine.status_code == 201
    answer = live.post(cells, json={"type": "code", "source": "yours"}, headers={"If-Match": f'"{before}"'})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "stale_revision")
    assert [cell["source"] for cell in answer.json()["current"]["cells"]] == ["mine"]
    assert answer.json()["current"] == notebook(live, kernel)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/cells/nowhere", {"source": "1"}),
        ("DELETE", "/cells/nowhere", None),
        ("POST", "/cells/nowhere/move", {"after": None}),
        ("POST", "/cells/nowhere/restore", {"after": None}),
        ("POST", "/cells", {"type": "code", "after": "nowhere"}),
    ],
)
def test_an_edit_of_no_cell_is_told(live: Live, kernel: str, method: str, path: str, body: object) -> None:
    answer = live.request(method, f"{KERNELS}/{kernel}/notebook{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "cell_not_found")


@pytest.mark.parametrize(
    ("format", "media_type", "has"),
    [
        ("ipynb", "application/x-ipynb+json", '"nbformat": 4'),
        ("py", "text/x-python", "print(6 * 7)"),
        ("md", "text/markdown", "```"),
        ("html", "text/html", "42"),
    ],
)
def test_an_export_is_an_attachment(live: Live, kernel: str, format: str, media_type: str, has: str) -> None:
    run(live, kernel, "print(6 * 7)")
    answer = live.get(f"{KERNELS}/{kernel}/notebook", params={"format": format})
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert has in answer.text


def test_an_exported_notebook_is_imported_again(live: Live, kernel: str) -> None:
    run(live, kernel, "print(6 * 7)")
    url = f"{KERNELS}/{kernel}/notebook"
    exported = live.get(url, params={"format": "ipynb"}).json()
    other = live.create()
    view = live.put(f"{KERNELS}/{other}/notebook", json=exported).json()
    assert [(cell["source"], cell["outputs"][0]["text"]) for cell in view["cells"]] == [("print(6 * 7)", "42\n")]
    refused = live.put(f"{KERNELS}/{other}/notebook", json={"cells": 3})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_request")
    live.delete(f"{KERNELS}/{other}")


# watching


def watching(live: Live, kernel: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with live.stream("GET", f"{KERNELS}/{kernel}/events", headers={"Accept": "application/x-ndjson"}) as answer:
        for line in answer.iter_lines():
            event = json.loads(line)
            yield event["event"], event


def test_a_watcher_sees_a_snapshot_then_everything(live: Live, kernel: str) -> None:
    events = watching(live, kernel)
    kind, first = next(events)
    assert kind == "snapshot"
    assert first["content"]["notebook"]["revision"] == notebook(live, kernel)["revision"]
    assert first["content"]["kernel"]["id"] == kernel
    live.post(f"{KERNELS}/{kernel}/notebook/cells", json={"type": "markdown", "source": "hi"})
    live.put(f"{KERNELS}/{kernel}/files/a.txt", content=b"1")
    running = threading.Thread(target=run, args=(live, kernel, "print(1)"))
    running.start()
    seen = set()
    for kind, _ in events:
        seen.add(kind)
        if kind == "execution_end":
            break
    running.join()
    assert {"cell_added", "file_changed", "execution_start", "stream", "execution_end"} <= seen


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/release", None),
        ("POST", "/interrupt", None),
        ("POST", "/restart", None),
        ("POST", "/branch", None),
        ("POST", "/complete", {"code": "", "cursor_pos": 0}),
        ("POST", "/inspect", {"code": "", "cursor_pos": 0}),
        ("GET", "/variables", None),
        ("GET", "/variables/x", None),
        ("GET", "/events", None),
        ("GET", "/notebook", None),
        ("GET", "/notebook?format=py", None),
        ("PUT", "/notebook", {}),
        ("POST", "/notebook/cells", {"type": "code"}),
        ("PATCH", "/notebook/cells/a", {}),
        ("DELETE", "/notebook/cells/a", None),
        ("POST", "/notebook/cells/a/move", {"after": None}),
        ("GET", "/files", None),
        ("GET", "/files?format=zip", None),
        ("PUT", "/files/a", None),
        ("GET", "/files/a", None),
        ("DELETE", "/files/a", None),
    ],
)
def test_an_unknown_session_is_not_found_anywhere(live: Live, method: str, path: str, body: object) -> None:
    answer = live.request(method, f"{KERNELS}/{UNKNOWN}{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "kernel_not_found")


def test_a_cell_is_undone_and_redone(live: Live, kernel: str) -> None:
    run(live, kernel, "x = 1", snapshot="always")
    second = run(live, kernel, "x = 2", snapshot="always")
    place = f"{KERNELS}/{kernel}"
    states = live.get(f"{place}/snapshots").json()
    assert [state["undone"] for state in states] == [False, False]
    undone = live.post(f"{place}/undo").json()
    assert (undone["undone"], undone["redone"], undone["not_restored"]) == ([second["id"]], [], [])
    assert undone["kernel"]["id"] == kernel
    assert live.post(f"{place}/redo").json()["redone"] == [second["id"]]
    again = live.post(f"{place}/undo", json={"to": second["id"]}).json()
    assert again["undone"] == [second["id"]]
    assert run(live, kernel, "print(x)")["outputs"][0]["text"] == "1\n"
    nothing = live.post(f"{place}/redo")
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "no_state")
    assert live.post(f"{place}/undo", json={"upto": 1}).status_code == 422
    assert live.post(f"{KERNELS}/{UNKNOWN}/undo").status_code == 404


def test_a_failed_cell_leaves_no_trace_where_that_is_asked_for(live: Live, kernel: str) -> None:
    run(live, kernel, "x = 1")
    failed = run(live, kernel, "x = 2; 1 / 0", snapshot="always", on_error="rollback")
    assert (failed["status"], failed["kernel_state"]) == ("error", "restored")
    assert run(live, kernel, "print(x)")["outputs"][0]["text"] == "1\n"


def test_an_undo_while_code_runs_is_a_conflict(live: Live, kernel: str) -> None:
    asked = {"code": "input()", "kernel_id": kernel, "allow_stdin": True}
    accepted = live.post("/api/jupyter/execute", json=asked, headers={"Prefer": "respond-async"}).json()
    refused = live.post(f"{KERNELS}/{kernel}/undo")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "kernel_busy")
    live.post(f"/api/jupyter/execute/{accepted['id']}/interrupt")


def test_a_branch_is_a_session_of_its_own(live: Live, kernel: str) -> None:
    first = run(live, kernel, "x = 1; open('f', 'w').write('f')", snapshot="always")
    run(live, kernel, "x = 2", snapshot="always")
    answer = live.post(f"{KERNELS}/{kernel}/branch", json={"at": first["id"], "title": "Another way", "reseed": True})
    branch = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{KERNELS}/{branch['id']}")
    assert branch["branched_from"] == {"kernel_id": kernel, "execution_id": first["id"]}
    assert (branch["title"], branch["execution_count"], branch["not_restored"], branch["notice"]) == (
        "Another way",
        1,
        [],
        None,
    )
    assert run(live, branch["id"], "print(x, open('f').read())")["outputs"][0]["text"] == "1 f\n"
    assert run(live, kernel, "print(x)")["outputs"][0]["text"] == "2\n"
    cells = live.get(f"{KERNELS}/{branch['id']}/notebook").json()["cells"]
    assert [cell["execution_count"] for cell in cells] == [1, 2]
    listed = {each["id"] for each in live.get(KERNELS, params={"limit": 200}).json()["items"]}
    assert {kernel, branch["id"]} <= listed
    now = live.post(f"{KERNELS}/{kernel}/branch").json()
    assert run(live, now["id"], "print(x)")["outputs"][0]["text"] == "2\n"
    for each in (branch, now):
        assert live.delete(f"{KERNELS}/{each['id']}").status_code == 204


def test_a_branch_that_cannot_be_says_why(live: Live, kernel: str) -> None:
    place = f"{KERNELS}/{kernel}/branch"
    nowhere = live.post(place, json={"at": UNKNOWN})
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (409, "no_state")
    assert live.post(place, json={"from": "x"}).status_code == 422
    asked = {"code": "input()", "kernel_id": kernel, "allow_stdin": True}
    accepted = live.post("/api/jupyter/execute", json=asked, headers={"Prefer": "respond-async"}).json()
    busy = live.post(place)
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "kernel_busy")
    live.post(f"/api/jupyter/execute/{accepted['id']}/interrupt")
    live.post(f"{KERNELS}/{kernel}/release")
    released = live.post(place)
    assert (released.status_code, released.json()["error"]["code"]) == (409, "no_state")
