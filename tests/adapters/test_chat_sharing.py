"""A link for reading: it shows one frozen copy, and nothing else can be done with it, by anybody."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from chatting import BOUND, Script, calls, config, says, scripted, serving
from live_server import Live, Start

from cellblock import app
from cellblock.host.interpreter import Interpreter
from cellblock.host.shares import MAX_SHARES

NEVER_A_TOKEN = "A" * 43


def shared(live: Live) -> tuple[str, dict[str, Any]]:
    """A session that has printed something, and a link to it."""
    id = live.create(title="Figures")
    live.post("/api/jupyter/execute", json={"code": "print('four' + 'teen')", "kernel_id": id}).raise_for_status()
    return id, live.post(f"/api/chat/{id}/shares").raise_for_status().json()


def seen(live: Live, token: str) -> httpx2.Response:
    return live.get("/api/shared", headers={"X-Cellblock-Share": token})


def test_a_link_shows_the_notebook_as_it_was_when_it_was_made(live: Live) -> None:
    id, link = shared(live)
    live.put(f"/api/jupyter/kernel/{id}/files/secret.txt", content=b"secret")
    live.post("/api/jupyter/execute", json={"code": "print('later')", "kernel_id": id}).raise_for_status()
    copy = seen(live, link["token"])
    assert copy.headers["cache-control"] == "no-store"
    (cell,) = copy.json()["cells"]
    assert (cell["outputs"][0]["text"], cell["execution_id"], cell["metadata"]) == ("fourteen\n", None, {})
    assert (copy.json()["title"], link["path"]) == ("Figures", f"/shared#{link['token']}")
    assert id not in copy.text


def test_a_revoked_link_is_an_unknown_one_in_every_word(live: Live) -> None:
    id, link = shared(live)
    assert [one["id"] for one in live.get(f"/api/chat/{id}/shares").json()] == [link["id"]]
    assert live.delete(f"/api/chat/{id}/shares/{link['id']}").status_code == 204
    assert live.get(f"/api/chat/{id}/shares").json() == []
    tokens = [link["token"], NEVER_A_TOKEN, "", "short", "x" * 5000, "%00", link["token"][:-1], f"{link['token']}="]
    answers = [seen(live, token) for token in tokens] + [live.get("/api/shared")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    assert live.delete(f"/api/chat/{id}/shares/{link['id']}").json()["error"]["code"] == "share_not_found"


def test_a_link_goes_with_its_conversation(live: Live) -> None:
    id, link = shared(live)
    live.delete(f"/api/chat/{id}").raise_for_status()
    assert seen(live, link["token"]).status_code == 404


def test_a_link_of_one_conversation_is_not_revoked_through_another(live: Live) -> None:
    _, link = shared(live)
    other = live.create()
    assert live.delete(f"/api/chat/{other}/shares/{link['id']}").status_code == 404
    assert seen(live, link["token"]).status_code == 200


def test_links_are_counted(live: Live) -> None:
    id, _ = shared(live)
    answers = [live.post(f"/api/chat/{id}/shares") for _ in range(MAX_SHARES)]
    assert [answer.status_code for answer in answers] == [201] * (MAX_SHARES - 1) + [429]
    assert answers[-1].json()["error"]["code"] == "share_limit"


def test_the_token_opens_nothing_but_its_copy(start: Start) -> None:
    """Every route of the API, with the token wherever a credential may stand: each one asks for the server's own."""
    live = start(token="the-servers-own", loopback_trust=False)
    live.headers["Authorization"] = "Bearer the-servers-own"
    id, link = shared(live)
    del live.headers["Authorization"]
    share = link["token"]
    carried: list[dict[str, Any]] = [
        {"headers": {"X-Cellblock-Share": share}},
        {"headers": {"X-Cellblock-Share": share, "Authorization": f"Bearer {share}"}},
        {"headers": {"X-Cellblock-Share": share}, "params": {"token": share}},
        {"headers": {"X-Cellblock-Share": share, "Cookie": f"cellblock-{live.port}={share}"}},
    ]
    open_to_all = {("get", "/healthz"), ("get", "/readyz"), ("get", "/api/shared")}
    tried = 0
    for path, methods in app.openapi()["paths"].items():
        for method in ("get", "put", "post", "patch", "delete"):
            if (method, path) in open_to_all:
                continue
            place = re.sub(r"\{[^}]*\}", link["id"], path.replace("{id}", id))
            for how in carried:
                expected = 405 if path in {at for _, at in open_to_all} else 401
                assert live.request(method, place, **how).status_code == expected, (method, place, how)
                tried += 1
        assert methods
    assert tried > 400
    assert seen(live, share).status_code == 200


def test_only_a_hash_of_the_token_is_on_the_disk(start: Start, tmp_path: Path) -> None:
    live = start()
    _, link = shared(live)
    with closing(sqlite3.connect(tmp_path / "data" / "cellblock.db")) as database:
        rows = database.execute("SELECT token_sha256 FROM shares").fetchall()
    assert len(rows) == 1
    for file in (tmp_path / "data").glob("cellblock.db*"):
        assert link["token"].encode() not in file.read_bytes()


async def test_a_copy_holds_what_was_said_and_not_what_the_model_was_told(tmp_path: Path) -> None:
    interpreter = await Interpreter.start(config(tmp_path))
    script = Script()
    models = scripted(script)
    async with serving(interpreter, models) as chat:
        id = await chat.new()
        script.play(calls("print(6 * 7)", "Multiply"), says("It is ", "42."))
        await chat.ask(id, "What is 6 times 7?")
        link = (await chat.http.post(f"/api/chat/{id}/shares")).json()
        copy = (await chat.http.get("/api/shared", headers={"X-Cellblock-Share": link["token"]})).json()
        user, answer = copy["messages"]
        assert user["parts"][0]["text"] == "What is 6 times 7?"
        assert answer["parts"][-1]["text"] == "It is 42."
        call = next(part for part in answer["parts"] if part["type"] == "tool-executeNotebook")
        assert (call["input"]["code"], call["output"]) == ("print(6 * 7)", "")
        assert set(answer["metadata"]) == {"created", "state"}
        (cell,) = copy["cells"]
        assert next(part for part in answer["parts"] if part["type"] == "data-cell")["data"]["cellId"] == cell["id"]
        await others_can_do_nothing(chat.http, id, link)
    await models.aclose()
    await interpreter.aclose()


async def others_can_do_nothing(http: httpx2.AsyncClient, id: str, link: dict[str, Any]) -> None:
    """Another owner neither shares, lists nor revokes, and is told nothing."""
    other = {"x-owner": "other"}
    answers = [
        await http.post(f"/api/chat/{id}/shares", headers=other),
        await http.get(f"/api/chat/{id}/shares", headers=other),
        await http.delete(f"/api/chat/{id}/shares/{link['id']}", headers=other),
    ]
    assert [answer.json()["error"]["code"] for answer in answers] == ["conversation_not_found"] * 3
    mine = await http.get(f"/api/chat/{id}/shares")
    assert [one["id"] for one in mine.json()] == [link["id"]]


async def test_a_conversation_that_is_being_answered_is_not_shared_by_half(tmp_path: Path) -> None:
    interpreter = await Interpreter.start(config(tmp_path))
    script = Script()
    models = scripted(script)
    async with serving(interpreter, models) as chat:
        id = await chat.new()
        script.play(calls("input('Go on? ')"), says("Done."))
        async with chat.asking(id, "Wait") as reader:
            await reader.until(lambda chunk: chunk["type"] == "data-cell")
            refused = await chat.http.post(f"/api/chat/{id}/shares")
            assert refused.json()["error"]["code"] == "run_active"
        await chat.http.post(f"/api/chat/{id}/stop")
        await chat.done(id)
    await models.aclose()
    await interpreter.aclose()


pytestmark = pytest.mark.timeout(int(BOUND * 4))
