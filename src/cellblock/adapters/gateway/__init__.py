"""The Jupyter door: the REST and WebSocket API of a Jupyter server, so that its clients work unchanged on our kernels."""

import asyncio

from fastapi import APIRouter
from starlette.routing import WebSocketRoute

from cellblock.adapters.gateway.channels import Channels
from cellblock.adapters.gateway.contents import Contents
from cellblock.adapters.gateway.kernels import Kernels
from cellblock.adapters.gateway.sessions import JupyterSessions
from cellblock.host.interpreter import Interpreter


def router(interpreter: Interpreter, closing: asyncio.Event) -> APIRouter:
    """Every route of Jupyter's; it is described by Jupyter, not by our OpenAPI document."""
    routes = APIRouter()
    for part in (Kernels(interpreter), JupyterSessions(interpreter), Contents(interpreter)):
        routes.routes += part.routes()
    routes.routes.append(WebSocketRoute("/api/kernels/{id}/channels", Channels(interpreter, closing).serve))
    return routes
