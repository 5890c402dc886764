"""Bodies are bounded before anybody parses them."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cellblock.errors import TooLarge


def is_upload(scope: Scope) -> bool:
    """A file on its way into a workspace: the workspace has a limit of its own and reads it piece by piece."""
    path = scope["path"]
    return scope["method"] == "PUT" and path.startswith("/api/jupyter/kernel/") and "/files/" in path


class BodyLimit:
    """Refuses bodies of more than `limit` bytes, by what the client announces and by what arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_upload(scope):
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.limit:
            raise TooLarge(self._message())
        await self.app(scope, self._counted(receive), send)

    def _message(self) -> str:
        return f"The body is larger than {self.limit} bytes."

    def _counted(self, receive: Receive) -> Receive:
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.limit:
                # The one exception that the framework lets through while it reads a body.
                raise HTTPException(413, self._message())
            return message

        return counted
