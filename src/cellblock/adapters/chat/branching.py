"""A conversation branches: a new one goes on from a message or a cell of it, on a session whose kernel stands just there.

Nothing is made by halves: where the state is not kept there is no branch, unless one with a fresh kernel was asked for.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from typing_extensions import TypedDict

from cellblock.adapters.chat import forks, history
from cellblock.adapters.chat.answer import load
from cellblock.adapters.chat.forks import Fork
from cellblock.adapters.chat.request import Owner
from cellblock.adapters.problems import problems
from cellblock.adapters.wire import Json
from cellblock.errors import CellblockError, ConversationNotFound, InvalidRequest, KernelNotFound, NoState, RunActive
from cellblock.host.interpreter import Interpreter, KernelView
from cellblock.host.runs import Runs
from cellblock.notebook import Notebook, NotebookView

FRESH = "A branch with a fresh kernel can be had, `fresh`: its cells have to be run again."
FILES = "The files are as they are now."
NOW = f"The kernel is fresh: run its cells to have their variables. {FILES}"


class ChatBranch(BaseModel):
    """Where a branch begins: behind a message, behind the execution `at`, or, without either, where things stand now."""

    model_config = ConfigDict(extra="forbid")

    messageId: str | None = Field(default=None, max_length=200)
    at: str | None = Field(default=None, max_length=200)
    title: str | None = Field(default=None, min_length=1, max_length=200)
    fresh: bool = Field(default=False, description="Whether its kernel is a fresh one, in which nothing has run.")


class BranchedFrom(TypedDict):
    """`execution_id`: the execution behind which the branch begins; null: where the kernel stood, or nothing had run."""

    id: str
    execution_id: str | None


class ConversationBranch(TypedDict):
    """A conversation that has just been made of another. `not_restored`: files that are not as they were there.

    `fresh`: nothing has run in its kernel. `notice` is a sentence for a person when something is not as it was.
    """

    id: str
    title: str | None
    updated: str
    running: bool
    branched_from: BranchedFrom
    fresh: bool
    not_restored: list[str]
    notice: str | None


ANSWERS = problems(404, 409, 413, 429, 503)


@dataclass(frozen=True)
class Begun:
    """The session of a branch, the files that are not as they were, and what is said of it."""

    kernel: KernelView
    not_restored: list[str]
    notice: str | None
    fresh: bool = False


class Branching:
    """The handler."""

    def __init__(self, interpreter: Interpreter, runs: Runs) -> None:
        self._interpreter, self._runs = interpreter, runs

    def add_to(self, routes: APIRouter) -> None:
        routes.add_api_route(
            "/api/chat/{id}/branch",
            self.branch,
            methods=["POST"],
            status_code=201,
            response_model=ConversationBranch,
            responses=ANSWERS,
        )

    async def branch(self, id: str, owner: Owner, body: Annotated[ChatBranch | None, Body()] = None) -> Response:
        """A new conversation with what was said up to there, whose session has the notebook, the files and the state of
        the kernel as they were; an empty body is legal."""
        asked = body or ChatBranch()
        if asked.at is not None and asked.messageId is not None:
            raise InvalidRequest("A branch begins at one place.", fields=[history.field_of("at", "beside messageId")])
        kernel = await self._kernel(owner, id)
        if self._runs.active(id):
            raise RunActive(f"The conversation {id} is being answered.")
        notebook = await self._interpreter.notebook(owner, id)
        fork = await self._fork(owner, id, asked, notebook)
        title = asked.title or forks.branch_title(kernel["title"])
        begun = await self._session(owner, kernel, notebook, fork, title, fresh=asked.fresh)
        messages = history.dumps(fork.transcript)  # also without a word in it: what a person has made is in the list
        await self._interpreter.save_conversation(owner, begun.kernel["id"], messages=messages, title=title)
        told: ConversationBranch = {
            "id": begun.kernel["id"],
            "title": begun.kernel["title"],
            "updated": begun.kernel["last_used"],
            "running": False,
            "branched_from": {"id": id, "execution_id": fork.at},
            "fresh": begun.fresh,
            "not_restored": begun.not_restored,
            "notice": begun.notice,
        }
        return Json(told, 201, headers={"Location": f"/api/chat/{told['id']}"})

    async def _kernel(self, owner: str, id: str) -> KernelView:
        try:
            return await self._interpreter.kernel(owner, id)
        except KernelNotFound:
            raise ConversationNotFound(f"There is no conversation {id[:100]!r}.") from None

    async def _fork(self, owner: str, id: str, asked: ChatBranch, notebook: NotebookView) -> Fork:
        transcript = await load(self._interpreter, owner, id)
        if asked.messageId is not None:
            return forks.at_message(transcript, asked.messageId)
        if asked.at is not None:
            return forks.at_execution(transcript, notebook, asked.at)
        return forks.now(transcript)

    async def _session(
        self, owner: str, kernel: KernelView, notebook: NotebookView, fork: Fork, title: str, *, fresh: bool
    ) -> Begun:
        ever = any(cell["execution_id"] for cell in notebook["cells"])
        if fresh or not fork.ran or (not ever and kernel["state"] == "released"):
            made, left_out = await self._afresh(owner, kernel, notebook, fork, title)
            return Begun(made, left_out, (NOW if fork.ran else FILES) if ever else None, fresh=True)
        try:
            at = None if forks.stands_behind(kernel["execution_count"], notebook, fork.at) else fork.at
            branch = await self._interpreter.branch(owner, kernel["id"], at=at, title=title)
        except NoState as problem:
            raise NoState(problem.message, hint=FRESH) from None
        return Begun(branch, branch["not_restored"], branch["notice"])

    async def _afresh(
        self, owner: str, kernel: KernelView, notebook: NotebookView, fork: Fork, title: str
    ) -> tuple[KernelView, list[str]]:
        made = await self._interpreter.create(owner, environment=kernel["environment"], title=title)
        try:
            shown: NotebookView = {**notebook, "title": title, "cells": forks.cells_for(fork, notebook)}
            ipynb = Notebook.from_view(shown, str).to_ipynb()
            await self._interpreter.import_notebook(owner, made["id"], ipynb)
            return made, await self._copy(owner, kernel["id"], made["id"])
        except BaseException:
            await self._interpreter.delete(owner, made["id"])
            raise

    async def _copy(self, owner: str, source: str, target: str) -> list[str]:
        """Copies the files there are; what could not be copied."""
        left_out: list[str] = []
        for entry in await self._interpreter.files(owner, source):
            if entry["type"] == "directory":
                await self._interpreter.make_directory(owner, target, entry["path"])
            elif entry["type"] == "file":
                left_out += [] if await self._copied(owner, source, target, entry["path"]) else [entry["path"]]
            else:
                left_out.append(entry["path"])
        return left_out

    async def _copied(self, owner: str, source: str, target: str, path: str) -> bool:
        try:
            opened = await self._interpreter.open_file(owner, source, path)
        except CellblockError:  # it has gone, or is another thing by now
            return False
        try:
            await self._interpreter.write_file(owner, target, path, opened.aiter(), size=opened.size)
        finally:
            opened.close()
        return True
