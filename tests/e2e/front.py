"""A reverse proxy as docs/jupyter.md describes it: Jupyter's API to a Cellblock, everything else to a JupyterLab.

`front.py PORT CELLBLOCK LABORATORY`: where it listens, and the two base URLs behind it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

OURS = ("/api/contents", "/api/kernels", "/api/kernelspecs", "/api/sessions", "/kernelspecs")
HOPS = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Front:
    """Passes Host and Origin on as they are: the server behind checks them."""

    def __init__(self, cellblock: str, laboratory: str) -> None:
        self.cellblock, self.laboratory = cellblock, laboratory
        self.client = httpx2.AsyncClient(timeout=60)

    def target(self, path: str, query: str) -> str:
        base = self.cellblock if path.startswith(OURS) else self.laboratory
        return f"{base}{path}{'?' if query else ''}{query}"

    async def http(self, request: Request) -> StreamingResponse:
        url = self.target(request.scope["raw_path"].decode(), request.url.query)
        headers = [(name, value) for name, value in request.headers.items() if name not in HOPS]
        asked = self.client.build_request(request.method, url, headers=headers, content=await request.body())
        answer = await self.client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for chunk in answer.aiter_raw():
                yield chunk
            await answer.aclose()

        kept = {name: value for name, value in answer.headers.items() if name not in HOPS}
        return StreamingResponse(body(), answer.status_code, kept)

    async def websocket(self, outer: WebSocket) -> None:
        url = self.target(outer.url.path, outer.url.query).replace("http", "ws", 1)
        passed = {name: outer.headers[name] for name in ("authorization", "cookie") if name in outer.headers}
        wire = outer.scope["subprotocols"] or None
        target = url.partition("://")[2].partition("/")[0].partition(":")
        async with connect(
            f"ws://{outer.headers['host']}/{url.partition('://')[2].partition('/')[2]}",
            host=target[0],
            port=int(target[2]),
            origin=outer.headers.get("origin"),  # type: ignore[arg-type]
            additional_headers=passed,
            subprotocols=wire,
            compression=None,
            max_size=None,
        ) as inner:
            await outer.accept(inner.subprotocol)
            tasks = [asyncio.create_task(each) for each in (up(outer, inner), down(outer, inner))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()


async def up(outer: WebSocket, inner: ClientConnection) -> None:
    try:
        while (event := await outer.receive())["type"] == "websocket.receive":
            await inner.send(event["bytes"] if event.get("text") is None else event["text"])
    except (ConnectionClosed, WebSocketDisconnect):
        pass


async def down(outer: WebSocket, inner: ClientConnection) -> None:
    try:
        async for frame in inner:
            await (outer.send_text(frame) if isinstance(frame, str) else outer.send_bytes(frame))
    except (ConnectionClosed, WebSocketDisconnect):
        pass


if __name__ == "__main__":
    front = Front(*sys.argv[2:4])
    routes = [WebSocketRoute("/{path:path}", front.websocket), Route("/{path:path}", front.http, methods=METHODS)]
    uvicorn.run(Starlette(routes=routes), port=int(sys.argv[1]), log_level="warning", ws_max_size=1 << 26)
