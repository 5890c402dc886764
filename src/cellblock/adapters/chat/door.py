"""The chat door: /api/chat and /api/models. A request starts an answer and tails its log; the answer outlives it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from cellblock.adapters.chat import finding, history
from cellblock.adapters.chat.agent import make_agent
from cellblock.adapters.chat.answer import Answer, load
from cellblock.adapters.chat.branching import Branching
from cellblock.adapters.chat.models import Models, ModelView
from cellblock.adapters.chat.request import Owner
from cellblock.adapters.chat.sharing import Sharing
from cellblock.adapters.problems import problems
from cellblock.adapters.stream import PING, PING_S, SSE, EventResponse, paced
from cellblock.adapters.wire import Json
from cellblock.errors import ConversationNotFound, InvalidRequest, KernelNotFound, RunActive
from cellblock.host.interpreter import Interpreter, KernelView
from cellblock.host.runs import Run, Runs

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
QUESTION = 100_000
"""Characters of one question."""


class UserMessage(BaseModel):
    """The new UI message. Parts that are no text are not for a model: files are uploaded to the workspace.

    `metadata.files` names those uploaded with the message.
    """

    model_config = ConfigDict(extra="ignore")

    id: str | None = Field(default=None, max_length=200)
    role: Literal["user"]
    parts: list[dict[str, Any]] = Field(max_length=100)
    metadata: dict[str, Any] | None = None

    def files(self) -> tuple[str, ...]:
        named = (self.metadata or {}).get("files")
        return tuple(name[:300] for name in named[:50] if isinstance(name, str)) if isinstance(named, list) else ()

    def text(self) -> str:
        texts = (part.get("text") for part in self.parts if part.get("type") == "text")
        return "\n\n".join(text for text in texts if isinstance(text, str))


class ChatRequest(BaseModel):
    """POST /api/chat. `messages` holds the new message last; the server has the history."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(max_length=200)
    messages: list[dict[str, Any]] = Field(default=[], max_length=1000)
    trigger: history.Trigger = "submit-message"
    messageId: str | None = Field(default=None, max_length=200)
    model: str | None = Field(default=None, max_length=200)


class ChatTitle(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200)


class ConversationItem(TypedDict):
    """One conversation of the list. `updated` is ISO 8601 UTC."""

    id: str
    title: str | None
    updated: str
    running: bool


class ListedItem(ConversationItem):
    """`excerpt`: where the words stand that were searched for; null without a search, or when the title has them."""

    excerpt: str | None


class ConversationPage(TypedDict):
    items: list[ListedItem]
    next: str | None


class ConversationView(ConversationItem):
    """A conversation with its UI messages; while `running`, the last answer comes from its stream."""

    messages: list[dict[str, Any]]


class Stopped(TypedDict):
    """Whether there was an answer to stop."""

    stopped: bool


def router(interpreter: Interpreter, runs: Runs, models: Models, closing: asyncio.Event) -> APIRouter:
    """The routes. `closing`, once set, ends every open stream; the answers themselves are ended by `runs`."""
    door = Door(interpreter, runs, models, closing)
    routes = APIRouter(tags=["chat"])
    at = "/api/chat/{id}"
    routes.add_api_route("/api/models", door.list_models, methods=["GET"], response_model=list[ModelView])
    routes.add_api_route("/api/chat", door.ask, methods=["POST"], response_class=EventResponse, responses=STREAM)
    routes.add_api_route("/api/chat", door.list, methods=["GET"], response_model=ConversationPage)
    routes.add_api_route(at, door.show, methods=["GET"], response_model=ConversationView)
    routes.add_api_route(at, door.rename, methods=["PATCH"], response_model=ConversationItem)
    routes.add_api_route(at, door.delete, methods=["DELETE"], status_code=204, response_class=Response)
    routes.add_api_route(f"{at}/stream", door.resume, methods=["GET"], response_class=EventResponse, responses=RESUME)
    routes.add_api_route(f"{at}/stop", door.stop, methods=["POST"], response_model=Stopped)
    routes.add_api_route(
        f"{at}/answers/{{answer_id}}", door.choose, methods=["POST"], response_model=ConversationView, responses=CHOOSE
    )
    Sharing(interpreter, door.view).add_to(routes)
    Branching(interpreter, runs).add_to(routes)
    return routes


STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "AI SDK UI message stream", "content": {SSE: {"schema": {"type": "string"}}}}
}
CHOOSE = problems(404, 409)
RESUME: dict[int | str, dict[str, Any]] = {**STREAM, 204: {"description": "Nothing is being answered"}}


class Door:
    """The handlers, with what they need. They keep nothing."""

    def __init__(self, interpreter: Interpreter, runs: Runs, models: Models, closing: asyncio.Event) -> None:
        self._interpreter, self._runs, self._models = interpreter, runs, models
        self._closing = closing
        self._agent = make_agent()

    async def list_models(self) -> Json:
        """The models a person can choose from, and why one cannot answer."""
        return Json(self._models.catalogue())

    async def ask(self, body: ChatRequest, owner: Owner) -> Response:
        """Starts an answer and streams it. The answer goes on when the client leaves."""
        kernel = await self._kernel(owner, body.id)
        self._at_rest(body.id)
        ask = to_ask(body)
        choice = await self._models.choose(body.model)
        async with self._runs.turn(body.id):
            transcript = await load(self._interpreter, owner, body.id)
            history.position(transcript, ask)  # says now what the answer would find out later
            secrets = self._models.settings.secrets
            answer = Answer(self._interpreter, self._agent, owner, kernel, ask, choice, transcript, secrets)
            return self._tail(self._runs.start(body.id, answer.chunks()))

    async def resume(self, id: str, owner: Owner) -> Response:
        """The answer being written, from its beginning; 204 when there is none."""
        await self._kernel(owner, id)
        run = self._runs.get(id)
        return self._tail(run) if run else Response(status_code=204)

    async def stop(self, id: str, owner: Owner) -> Stopped:
        """Stops the answer and interrupts the kernel. What was written stays."""
        await self._kernel(owner, id)
        return {"stopped": await self._runs.stop(id)}

    async def list(
        self,
        owner: Owner,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: Annotated[str | None, Query(max_length=200)] = None,
        q: Annotated[
            str | None, Query(max_length=500, description="Words that title or messages have, all of them.")
        ] = None,
    ) -> Json:
        """Conversations, the latest first; with `q` those in which all its words were said, in one page."""
        words = finding.words_of(q or "")
        if words:
            found = await self._interpreter.find_conversations(
                owner, lambda title, stored: finding.excerpt(title, stored, words), limit=limit
            )
            page: dict[str, Any] = {"items": found, "next": None}
        else:
            page = await self._interpreter.conversations(owner, limit=limit, after=after)
        items = [
            {**item, "excerpt": item.get("excerpt") or None, "running": self._runs.active(str(item["id"]))}
            for item in page["items"]
        ]
        return Json({"items": items, "next": page["next"]})

    async def show(self, id: str, owner: Owner) -> Json:
        """The conversation with its messages; a session nobody has asked anything has none."""
        return Json(await self.view(owner, id))

    async def view(self, owner: str, id: str) -> ConversationView:
        kernel = await self._kernel(owner, id)
        run = self._runs.get(id)
        transcript = await load(self._interpreter, owner, id)
        notebook = await self._interpreter.notebook(owner, id)
        if self._runs.get(id) is not run:  # an answer has begun or ended meanwhile
            return await self.view(owner, id)
        messages = history.ui_messages(transcript, notebook, active=run is not None)
        return {**item_of(kernel, run is not None), "messages": messages}

    async def choose(self, id: str, answer_id: str, owner: Owner) -> Json:
        """Shows another answer to its question: the one a model is told from now on. What follows stays as it is."""
        await self._kernel(owner, id)
        async with self._runs.turn(id):
            self._at_rest(id)
            transcript = await load(self._interpreter, owner, id)
            history.choose(transcript, answer_id)
            await self._interpreter.save_conversation(owner, id, messages=history.dumps(transcript))
        return Json(await self.view(owner, id))

    async def rename(self, id: str, body: ChatTitle, owner: Owner) -> Json:
        """Gives the conversation, and so its session, another title."""
        await self._kernel(owner, id)
        if await self._interpreter.load_conversation(owner, id):
            await self._interpreter.rename_conversation(owner, id, body.title)
        else:
            await self._interpreter.rename(owner, id, body.title)
        return Json(item_of(await self._kernel(owner, id), self._runs.active(id)))

    async def delete(self, id: str, owner: Owner) -> Response:
        """The conversation is gone, and with it its session: notebook, kernel and files."""
        await self._kernel(owner, id)
        await self._runs.stop(id)
        await self._interpreter.delete(owner, id)
        return Response(status_code=204)

    def _at_rest(self, id: str) -> None:
        if self._runs.active(id):
            raise RunActive(f"The conversation {id} is being answered.")

    async def _kernel(self, owner: str, id: str) -> KernelView:
        try:
            return await self._interpreter.kernel(owner, id)
        except KernelNotFound:
            raise ConversationNotFound(f"There is no conversation {id[:100]!r}.") from None

    def _tail(self, run: Run) -> EventResponse:
        return EventResponse(self._pieces(run), SSE, self._closing, HEADERS)

    async def _pieces(self, run: Run) -> AsyncGenerator[bytes, None]:
        async for chunk in paced(run.tail(), encoded, PING_S):
            yield PING if chunk is None else chunk


def encoded(piece: str) -> bytes:
    return piece.encode("utf-8", "replace")


def item_of(kernel: KernelView, running: bool) -> ConversationItem:
    return {"id": kernel["id"], "title": kernel["title"], "updated": kernel["last_used"], "running": running}


def to_ask(body: ChatRequest) -> history.Ask:
    """What is asked for; InvalidRequest names the field that does not fit."""
    if body.trigger == "regenerate-message":
        return history.Ask(body.trigger, message_id=body.messageId)
    if not body.messages:
        raise InvalidRequest("There is no message.", fields=[history.field_of("messages", "is empty")])
    message = read_message(body.messages[-1])
    text = message.text()
    if len(text) > QUESTION:
        raise InvalidRequest(
            f"The message is longer than {QUESTION:,} characters.",
            hint="Upload long data as a file.",
            fields=[history.field_of("messages", "too long")],
        )
    return history.Ask(body.trigger, text, message.id, body.messageId, message.files())


def read_message(raw: dict[str, Any]) -> UserMessage:
    try:
        message = UserMessage.model_validate(raw)
    except ValueError:
        raise InvalidRequest(
            "The last message is not a user's UI message.",
            fields=[history.field_of("messages", 'needs role "user" and a list of parts')],
        ) from None
    try:
        "".join((message.text(), *message.files())).encode()
    except UnicodeEncodeError:  # JSON may escape half a surrogate pair, which nobody can store
        field = history.field_of("messages", "not valid Unicode")
        raise InvalidRequest("The message is not valid Unicode.", fields=[field]) from None
    return message
