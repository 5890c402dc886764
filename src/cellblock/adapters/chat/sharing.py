"""Links for reading: a frozen copy of a conversation and its notebook, for whoever has the token, until it is revoked.

A copy holds what the page shows and nothing else: no files, no results as the model got them, no costs. Who reads one
reaches no session: neither its kernel, nor its files, nor what it becomes later.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import Response
from typing_extensions import TypedDict

from cellblock.adapters.chat import history
from cellblock.adapters.chat.request import Owner
from cellblock.adapters.problems import problems
from cellblock.adapters.wire import Json, dumps
from cellblock.content import is_undone
from cellblock.errors import RunActive
from cellblock.host.interpreter import Interpreter, Share
from cellblock.notebook import Cell, NotebookView

PAGE = "/shared"
"""Where the page shows a copy; the token stands behind `#`, so that no server and no log sees it."""


class NewShare(Share):
    """A copy that was just made. `token` is told this once; `path` is its page, the token included."""

    token: str
    path: str


class SharedView(TypedDict):
    """A copy: as the conversation and its notebook were at `created`, ISO 8601 UTC."""

    title: str | None
    created: str
    cells: list[Cell]
    messages: list[dict[str, Any]]


View = Callable[[str, str], Awaitable[Mapping[str, Any]]]
UNKNOWN = problems(404)


class Sharing:
    """The handlers. `view` is a conversation as its owner sees it; what a copy holds is decided when it is made."""

    def __init__(self, interpreter: Interpreter, view: View) -> None:
        self._interpreter, self._view = interpreter, view

    def add_to(self, routes: APIRouter) -> None:
        """The routes below /api/chat/{id}/shares for who owns a conversation, and the one for who has a token."""
        add, of = routes.add_api_route, "/api/chat/{id}/shares"
        add(of, self.share, methods=["POST"], status_code=201, response_model=NewShare, responses=UNKNOWN)
        add(of, self.list_shares, methods=["GET"], response_model=list[Share], responses=UNKNOWN)
        one = f"{of}/{{share_id}}"
        add(one, self.revoke_share, methods=["DELETE"], status_code=204, response_class=Response, responses=UNKNOWN)
        add("/api/shared", self.read_shared, methods=["GET"], response_model=SharedView, responses=UNKNOWN)

    async def share(self, id: str, owner: Owner) -> Response:
        """A copy of the conversation as it is now, and the link that shows it."""
        shown = await self._view(owner, id)
        if shown["running"]:
            raise RunActive("The conversation is being answered; a copy would be half of it.")
        notebook = await self._interpreter.notebook(owner, id)
        share, token = await self._interpreter.share(owner, id, dumps(frozen(notebook, shown["messages"])))
        return Json({**share, "token": token, "path": f"{PAGE}#{token}"}, 201, headers={"Cache-Control": "no-store"})

    async def list_shares(self, id: str, owner: Owner) -> Response:
        """The links of a conversation that have not been revoked, the newest first; without their tokens."""
        await self._view(owner, id)
        return Json(await self._interpreter.shared(owner, id))

    async def revoke_share(self, id: str, share_id: str, owner: Owner) -> Response:
        """The link shows nothing any more."""
        await self._view(owner, id)
        await self._interpreter.revoke(owner, id, share_id)
        return Response(status_code=204)

    async def read_shared(self, x_cellblock_share: Annotated[str | None, Header()] = None) -> Response:
        """What a link shows. Needs no other token; an unknown one and a revoked one are answered alike."""
        content = await self._interpreter.read_shared(x_cellblock_share)
        return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


def frozen(notebook: NotebookView, messages: list[dict[str, Any]]) -> SharedView:
    """What a copy holds."""
    return {
        "title": notebook["title"],
        "created": history.now(),
        "cells": [still(cell) for cell in notebook["cells"]],
        "messages": [readable(message) for message in messages],
    }


def still(cell: Cell) -> Cell:
    """A cell without what belongs to its session: nothing runs here, and no file can be had."""
    hidden = cell["metadata"].get("jupyter")
    ended = cell["status"] not in ("queued", "running")
    metadata: dict[str, Any] = {"jupyter": hidden} if isinstance(hidden, dict) else {}
    return {
        **cell,
        "status": cell["status"] if ended else None,
        "execution_id": None,
        "metadata": {**metadata, **({"cellblock": {"undone": True}} if is_undone(cell) else {})},
    }


def readable(message: dict[str, Any]) -> dict[str, Any]:
    """A message with its words, code and links to cells."""
    metadata = {key: value for key, value in message["metadata"].items() if key in ("created", "files", "state")}
    parts = [shown_part(part) for part in message["parts"] if part["type"] != "reasoning"]
    return {**message, "metadata": metadata, "parts": parts}


def shown_part(part: dict[str, Any]) -> dict[str, Any]:
    """Outputs stand in the notebook, once; what the model was told of them is nobody's business."""
    if part["type"] == "data-cell":
        return {**part, "data": {**part["data"], "outputs": [], "executionId": None}}
    return {**part, "output": ""} if "output" in part else part
