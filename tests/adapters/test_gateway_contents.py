"""Jupyter's REST API for contents: a folder for each session, with its notebook, the one everybody sees, and its files."""

import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_server import Live, Start
from starlette.requests import Request
from starlette.types import Message
from talking import talking

from cellblock.adapters.gateway import places
from cellblock.adapters.gateway.body import json_body
from cellblock.errors import InvalidPath

ROOT = "/api/contents"
ID = "0123abcd-0000-4000-8000-000000000000"


@pytest.fixture
def folder(live: Live, kernel: str) -> str:
    """The folder of a session titled Storms."""
    live.patch(f"{ROOT}/Untitled ({kernel[:8]})", json={"path": "Storms"})
    return f"Storms ({kernel[:8]})"


def get(live: Live, path: str, **query: str) -> dict[str, Any]:
    answer = live.get(f"{ROOT}/{path}", params=query)
    assert answer.status_code == 200, answer.text
    model: dict[str, Any] = answer.json()
    assert {"name", "path", "type", "format", "content", "created", "last_modified", "writable", "mimetype"} <= set(
        model
    )
    return model


def cell(source: str, id: str = "c1", **more: Any) -> dict[str, Any]:
    kept = {"outputs": [], "execution_count": None, "metadata": {}}
    return {"id": id, "cell_type": "code", "source": source, **kept, **more}


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}


def save(live: Live, path: str, content: dict[str, Any]) -> dict[str, Any]:
    answer = live.put(f"{ROOT}/{path}", json={"type": "notebook", "format": "json", "content": content})
    assert answer.status_code == 200, answer.text
    model: dict[str, Any] = answer.json()
    return model


def seen(live: Live, kernel: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = live.get(f"/api/jupyter/kernel/{kernel}/notebook").json()["cells"]
    return cells


# names


MODEL = set("name path type writable created last_modified mimetype content format".split())


@given(st.text(max_size=100))
def test_a_folders_name_leads_back_to_its_session(title: str) -> None:
    name = places.folder(title, ID)
    found = places.place(f"{name}/a/b.txt")
    assert found
    assert (found.start, found.inside, "/" in name) == (ID[:8], "a/b.txt", False)


@given(st.text(max_size=60))
def test_any_path_is_a_place_or_none(path: str) -> None:
    try:
        found = places.place(path)
    except InvalidPath:
        assert ".." in path or "\0" in path
        return
    assert found is None or ".." not in found.inside.split("/")


@given(st.sets(st.sampled_from(["a.txt", "a-Copy1.txt", "a-Copy2.txt", "Untitled.ipynb", "Untitled1.ipynb"])))
def test_new_names_are_new(taken: set[str]) -> None:
    assert places.untitled(taken, "Untitled", ".ipynb") not in taken
    assert places.copied(taken, "a.txt") not in taken


# notebooks


def test_every_session_is_a_folder_with_its_notebook(live: Live, kernel: str, folder: str) -> None:
    live.put(f"/api/jupyter/kernel/{kernel}/files/data/a.csv", content=b"x\n1\n")
    root = get(live, "")
    assert root["type"] == "directory"
    assert folder in [each["path"] for each in root["content"]]
    inner = {each["name"]: each for each in get(live, folder)["content"]}
    assert {name: each["type"] for name, each in inner.items()} == {"notebook.ipynb": "notebook", "data": "directory"}
    for path in ("", folder, f"{folder}/notebook.ipynb", f"{folder}/data", f"{folder}/data/a.csv"):
        model = get(live, path, content="0")
        assert model.keys() >= MODEL, path  # as Jupyter's own server demands of every model
        assert (model["content"], model["format"]) == (None, None)


def test_its_notebook_is_the_one_everybody_sees(live: Live, kernel: str, folder: str) -> None:
    live.post("/api/jupyter/execute", json={"code": "print('from the chat')", "kernel_id": kernel})
    model = get(live, f"{folder}/notebook.ipynb")
    assert (model["type"], model["format"]) == ("notebook", "json")
    (first,) = model["content"]["cells"]
    assert "".join(first["outputs"][0]["text"]) == "from the chat\n"
    model["content"]["cells"].append(cell("# mine", id="mine"))
    save(live, f"{folder}/notebook.ipynb", model["content"])
    assert [each["source"] for each in seen(live, kernel)] == ["print('from the chat')", "# mine"]
    assert seen(live, kernel)[0]["status"] == "ok"  # what an editor does not know of a cell stays
    downloaded = get(live, f"{folder}/notebook.ipynb", type="file")
    assert (downloaded["type"], downloaded["format"]) == ("file", "text")
    assert len(json.loads(downloaded["content"])["cells"]) == 2


def test_saving_while_a_cell_runs_loses_no_output(live: Live, kernel: str, folder: str) -> None:
    path = f"{folder}/notebook.ipynb"
    save(live, path, notebook(cell("input()", id="asks")))
    with talking(live, kernel) as talk:
        id = talk.execute("print('before', flush=True); input(); print('after')", metadata={"cellId": "asks"})
        talk.until(lambda said: said["channel"] == "stdin")
        save(live, path, notebook(cell("stale", id="asks"), cell("new", id="new")))
        talk.send("input_reply", {"value": ""}, channel="stdin")
        talk.answers(id)
        live.post("/api/jupyter/execute", json={"code": "1", "kernel_id": kernel, "store": False})
    running, new = seen(live, kernel)
    assert (running["source"], running["outputs"][0]["text"]) == (
        "print('before', flush=True); input(); print('after')",
        "before\nafter\n",
    )
    assert new["source"] == "new"


def test_the_date_of_a_notebook_is_that_of_others_changes(live: Live, kernel: str, folder: str) -> None:
    path = f"{folder}/notebook.ipynb"
    before = save(live, path, notebook(cell("1", id="c")))["last_modified"]
    with talking(live, kernel) as talk:
        talk.run("1", metadata={"cellId": "c"})
    assert save(live, path, notebook(cell("1", id="c")))["last_modified"] == before
    live.post("/api/jupyter/execute", json={"code": "2", "kernel_id": kernel})
    assert get(live, path, content="0")["last_modified"] > before


def test_a_new_notebook_at_the_root_is_a_new_session(live: Live) -> None:
    made = live.post(ROOT, json={"type": "notebook"})
    path = made.json()["path"]
    assert (made.status_code, made.headers["location"]) == (201, f"/api/contents/{path}")
    folder, _, name = path.partition("/")
    assert name == "notebook.ipynb"
    renamed = live.patch(f"{ROOT}/{path}", json={"path": f"{folder}/sales-jvsc-12ab.ipynb"}).json()
    assert renamed["name"] == "sales-jvsc-12ab.ipynb"
    assert get(live, renamed["path"])["content"]["cells"] == []
    listed = {each["name"] for each in get(live, "")["content"]}
    assert any(name.startswith("sales (") for name in listed)
    for body in ({"type": "file"}, {"type": "notebook", "copy_from": path}):
        assert live.post(ROOT, json=body).status_code == 400


@pytest.mark.parametrize(
    "content", [{}, {"nbformat": 4}, {"cells": 1}, {**notebook(), "cells": [{"cell_type": "code"}]}]
)
def test_what_is_no_notebook_is_not_saved(live: Live, kernel: str, folder: str, content: dict[str, Any]) -> None:
    save(live, f"{folder}/notebook.ipynb", notebook(cell("kept")))
    body = {"type": "notebook", "format": "json", "content": content}
    answer = live.put(f"{ROOT}/{folder}/notebook.ipynb", json=body)
    if answer.status_code != 200:  # nbformat is patient with a cell that has no source
        assert "message" in answer.json()
        assert [each["source"] for each in seen(live, kernel)] == ["kept"]


def test_a_conversation_is_not_deleted_or_moved_as_a_file(live: Live, folder: str) -> None:
    for path in ("", folder, f"{folder}/notebook.ipynb"):
        assert live.delete(f"{ROOT}/{path}".rstrip("/")).status_code in (403, 405)
    for path, new in (
        (folder, "a/b"),
        (f"{folder}/notebook.ipynb", "elsewhere.ipynb"),
        (f"{folder}/notebook.ipynb", f"{folder}/deeper/notebook.ipynb"),
        (f"{folder}/notebook.ipynb", f"{folder}/notebook.txt"),
    ):
        assert live.patch(f"{ROOT}/{path}", json={"path": new}).status_code == 400
    assert get(live, f"{folder}/notebook.ipynb", content="0")


# files


def test_files_are_those_of_the_workspace(live: Live, kernel: str, folder: str) -> None:
    text = {"type": "file", "format": "text", "content": "häl\n"}
    assert live.put(f"{ROOT}/{folder}/a/b.txt", json=text).status_code == 200
    raw = {"type": "file", "format": "base64", "content": base64.b64encode(b"\xff\x00").decode()}
    assert live.put(f"{ROOT}/{folder}/c.bin", json=raw).status_code == 200
    with talking(live, kernel) as talk:
        heard = talk.run("print(open('a/b.txt').read(), open('c.bin', 'rb').read())")
    assert any("häl" in str(said["content"].get("text")) for said in heard)
    model = get(live, f"{folder}/a/b.txt")
    assert (model["format"], model["content"], model["size"], model["mimetype"]) == ("text", "häl\n", 5, "text/plain")
    assert base64.b64decode(get(live, f"{folder}/a/b.txt", format="base64")["content"]) == "häl\n".encode()
    binary = get(live, f"{folder}/c.bin")
    assert (binary["format"], base64.b64decode(binary["content"])) == ("base64", b"\xff\x00")
    assert live.get(f"{ROOT}/{folder}/c.bin", params={"format": "text"}).status_code == 409


def test_what_is_asked_for_as_another_kind_is_refused_as_jupyter_does(live: Live, kernel: str, folder: str) -> None:
    for path in ("a.txt", "deep/b.txt", "c.ipynb"):
        live.put(f"/api/jupyter/kernel/{kernel}/files/{path}", content=b"{}")
    files = [f"{folder}/{name}" for name in ("a.txt", "c.ipynb", "notebook.ipynb")]
    wrong = [(path, {"type": "directory"}) for path in files]
    wrong += [(path, {"type": type}) for path in ("", folder, f"{folder}/deep") for type in ("file", "notebook", "odd")]
    wrong += [(files[0], {"format": "json"}), (files[0], {"content": "yes"})]
    for path, asked in wrong:
        for content in ("0", "1"):
            answer = live.get(f"{ROOT}/{path}".rstrip("/"), params={"content": content, **asked})
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_path"), (path, asked)
    for path in ("", folder, f"{folder}/deep"):
        assert get(live, path, type="directory")["type"] == "directory"
    assert get(live, files[0], type="odd")["content"] == "{}"


def test_a_notebook_keeps_its_name_when_it_or_its_kernel_is_given_another(live: Live, kernel: str, folder: str) -> None:
    other = live.create()
    theirs = f"Untitled ({other[:8]})"
    for session, place in ((kernel, folder), (other, theirs)):
        save(live, f"{place}/notebook.ipynb", notebook(cell(session)))
        named = live.patch(f"{ROOT}/{place}/notebook.ipynb", json={"path": f"{place}/named.ipynb"})
        assert named.status_code == 200
        live.patch(f"/api/sessions/{session}", json={"path": f"{place}/named.ipynb"})
    places = {get(live, each["path"])["path"] for each in get(live, "")["content"] if kernel[:8] in each["path"]}
    (mine,) = places
    changed = live.patch(f"/api/sessions/{kernel}", json={"kernel": {"id": other}}).json()
    assert changed["kernel"]["id"] == other
    for session, place in ((kernel, folder), (other, theirs)):
        (shown,) = get(live, f"{place}/named.ipynb", type="notebook")["content"]["cells"]
        assert shown["source"] == session
    assert get(live, f"{mine}/named.ipynb")["type"] == "notebook"  # also under the folder's new title
    live.patch(f"{ROOT}/{folder}/named.ipynb", json={"path": f"{folder}/anew.ipynb"})
    assert live.get(f"{ROOT}/{folder}/named.ipynb").status_code == 404


def test_a_notebook_that_is_a_file_is_read_and_written_as_one(live: Live, kernel: str, folder: str) -> None:
    made = live.post(f"{ROOT}/{folder}", json={"type": "notebook"}).json()
    assert made["path"] == f"{folder}/Untitled.ipynb"
    save(live, made["path"], notebook(cell("x")))
    assert get(live, made["path"])["content"]["cells"][0]["source"] == "x"
    assert seen(live, kernel) == []
    live.put(f"/api/jupyter/kernel/{kernel}/files/broken.ipynb", content=b"{")
    assert live.get(f"{ROOT}/{folder}/broken.ipynb").status_code == 409
    assert get(live, f"{folder}/broken.ipynb", type="file", format="text")["content"] == "{"
    for body in ({"type": "file", "ext": ".py"}, {"type": "directory"}, {"copy_from": made["path"]}):
        assert live.post(f"{ROOT}/{folder}", json=body).status_code == 201
    names = {each["name"] for each in get(live, folder)["content"]}
    assert {"Untitled-Copy1.ipynb", "Untitled Folder", "untitled.py"} <= names


def test_files_are_renamed_and_deleted_in_their_folder(live: Live, kernel: str, folder: str) -> None:
    for name in ("a.txt", "b.txt"):
        live.put(f"/api/jupyter/kernel/{kernel}/files/{name}", content=b"1")
    moved = live.patch(f"{ROOT}/{folder}/a.txt", json={"path": f"{folder}/deep/c.txt"})
    assert (moved.status_code, moved.json()["path"]) == (200, f"{folder}/deep/c.txt")
    assert live.patch(f"{ROOT}/{folder}/b.txt", json={"path": f"{folder}/deep/c.txt"}).status_code == 409
    assert live.patch(f"{ROOT}/{folder}/b.txt", json={"path": "b.txt"}).status_code == 400
    assert live.delete(f"{ROOT}/{folder}/deep").status_code == 204
    assert live.get(f"{ROOT}/{folder}/deep/c.txt").status_code == 404


@pytest.mark.parametrize("path", ["../x", "%2e%2e/x", "a/..%2f..%2fx", "a%00b"])
def test_no_path_leaves_the_tree(live: Live, folder: str, path: str) -> None:
    for where in (path, f"{folder}/{path}"):
        assert live.get(f"{ROOT}/{where}").status_code in (400, 404)
        assert live.put(f"{ROOT}/{where}", json={"type": "file", "content": ""}).status_code in (400, 404, 405)


def test_what_code_left_in_the_workspace_is_not_followed(live: Live, kernel: str, folder: str) -> None:
    code = "import os; os.symlink('/etc/passwd', 'way-out'); os.mkfifo('pipe')"
    live.post("/api/jupyter/execute", json={"code": code, "kernel_id": kernel})
    assert {each["name"] for each in get(live, folder)["content"]} == {"notebook.ipynb"}
    for name in ("way-out", "pipe"):
        assert live.get(f"{ROOT}/{folder}/{name}").status_code in (404, 409)
        assert live.put(f"{ROOT}/{folder}/{name}", json={"type": "file", "content": "x"}).status_code == 409


def test_a_file_in_pieces_is_refused_with_the_way_to_upload_it(live: Live, folder: str) -> None:
    answer = live.put(f"{ROOT}/{folder}/big", json={"type": "file", "format": "base64", "content": "", "chunk": 1})
    assert answer.status_code == 422
    assert "PUT /api/jupyter/kernel" in answer.json()["reason"]


# checkpoints


def test_a_checkpoint_brings_back_what_was_saved(live: Live, kernel: str, folder: str) -> None:
    path = f"{folder}/notebook.ipynb"
    assert live.get(f"{ROOT}/{path}/checkpoints").json() == []
    save(live, path, notebook(cell("one")))
    made = live.post(f"{ROOT}/{path}/checkpoints")
    assert made.status_code == 201
    save(live, path, notebook(cell("two")))
    assert live.get(f"{ROOT}/{path}/checkpoints").json() == [made.json()]
    assert live.post(f"{ROOT}/{path}/checkpoints/{made.json()['id']}").status_code == 204
    assert [each["source"] for each in seen(live, kernel)] == ["one"]
    assert live.delete(f"{ROOT}/{path}/checkpoints/{made.json()['id']}").status_code == 204
    assert live.get(f"{ROOT}/{path}/checkpoints").json() == []
    assert live.post(f"{ROOT}/{path}/checkpoints/checkpoint").status_code == 404


def test_the_sequence_of_vs_code(live: Live) -> None:
    """What its Jupyter extension sends to an existing server: look, make a file to hang a session on, run, clean up."""
    for path in ("/api", "/api/kernelspecs", "/api/kernels", "/api/sessions", "/api/status"):
        assert live.get(path).status_code == 200
    backing = live.post(ROOT, json={"type": "notebook", "ext": ""}).json()["path"]
    wanted = f"{backing.partition('/')[0]}/report-jvsc-0a1b2c.ipynb"
    assert live.patch(f"{ROOT}/{backing}", json={"path": wanted}).json()["path"] == wanted
    body = {"path": wanted, "name": "report-jvsc-0a1b2c.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    session = live.post("/api/sessions", json=body).json()
    assert session["path"] == wanted
    with talking(live, session["kernel"]["id"], session["id"], v1=True) as talk:
        assert talk.ask("kernel_info_request", {})["status"] == "ok"
        talk.run("x = 1", silent=True, store_history=False)
        heard = talk.run("x + 1", metadata={"cellId": "vscode-notebook-cell:/a.ipynb#W0sZmlsZQ%3D%3D"})
        assert (
            next(said for said in heard if said["msg_type"] == "execute_result")["content"]["data"]["text/plain"] == "2"
        )
        assert talk.ask("complete_request", {"code": "prin", "cursor_pos": 4})["matches"]
    assert [each["source"] for each in seen(live, session["id"])] == ["x + 1"]
    assert live.delete(f"{ROOT}/{wanted}").status_code == 403
    assert live.post(f"/api/kernels/{session['kernel']['id']}/restart").status_code == 200
    assert live.delete(f"/api/sessions/{session['id']}").status_code == 204
    assert session["id"] not in [each["id"] for each in live.get("/api/sessions").json()]


def test_a_body_is_bounded_whatever_a_folder_is_called(start: Start) -> None:
    live = start(body_limit=2048)
    inside = f"{ROOT}/Untitled ({live.create()[:8]})/files/a.txt"
    refused = live.put(inside, json={"type": "file", "format": "text", "content": "x" * 4096})
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(("size", "beside"), [(10, False), (1 << 20, True)])
async def test_others_are_answered_while_a_large_body_is_read(size: int, beside: bool) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps({"content": "x" * size}).encode(), "more_body": False}

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    body = await json_body(Request({"type": "http", "method": "PUT", "headers": []}, receive))
    task.cancel()
    assert len(body["content"]) == size
    assert (turns > 0) is beside
