"""The HTTP door: the routes of the native API, each a thin call of the interpreter."""

import asyncio

from fastapi import APIRouter

from cellblock.adapters.http.executions import Executions
from cellblock.adapters.http.files import Files
from cellblock.adapters.http.kernels import KernelRoutes
from cellblock.adapters.http.notebooks import Notebooks
from cellblock.adapters.http.service import Service
from cellblock.host.interpreter import Interpreter


def router(interpreter: Interpreter, closing: asyncio.Event) -> APIRouter:
    """Every native route. `closing` is set when the server stops: streams end then."""
    routes = APIRouter()
    for part in (
        Executions(interpreter, closing),
        KernelRoutes(interpreter, closing),
        Notebooks(interpreter),
        Files(interpreter),
        Service(interpreter),
    ):
        routes.include_router(part.router())
    return routes
