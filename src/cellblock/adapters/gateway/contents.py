"""Jupyter's REST API for contents: the tree of `tree.py`, made, changed, moved and remembered."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cellblock.adapters.gateway import models, places
from cellblock.adapters.gateway.body import json_body, text
from cellblock.adapters.gateway.models import Model
from cellblock.adapters.gateway.places import NOTEBOOK
from cellblock.adapters.gateway.tree import Spot, Tree
from cellblock.adapters.wire import Json
from cellblock.errors import FileNotFound, Forbidden, InvalidPath, InvalidRequest
from cellblock.host.interpreter import Alias, Interpreter

CHECKPOINT = "checkpoint"
KEPT = ".ipynb_checkpoints"  # where Jupyter itself keeps them
EMPTY = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
NEW = {"notebook": (places.UNTITLED, ".ipynb"), "directory": ("Untitled Folder", ""), "file": ("untitled", "")}


class Contents:
    """A new notebook at the root is a new session; what is in a folder belongs to that session's workspace."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    def routes(self) -> list[BaseRoute]:
        one = "/api/contents/{path:path}"
        return [
            Route("/api/contents", self.get, methods=["GET"]),
            Route("/api/contents", self.new, methods=["POST"]),
            Route(f"{one}/checkpoints", self.checkpoints, methods=["GET"]),
            Route(f"{one}/checkpoints", self.keep, methods=["POST"]),
            Route(f"{one}/checkpoints/{CHECKPOINT}", self.go_back, methods=["POST"]),
            Route(f"{one}/checkpoints/{CHECKPOINT}", self.forget, methods=["DELETE"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.new, methods=["POST"]),
            Route(one, self.put, methods=["PUT"]),
            Route(one, self.rename, methods=["PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
        ]

    def _tree(self, request: Request) -> tuple[Tree, str]:
        return Tree(self.interpreter, request.state.owner), request.path_params.get("path", "")

    async def get(self, request: Request) -> Response:
        tree, path = self._tree(request)
        asked = request.query_params
        content, kind, format = asked.get("content", "1"), asked.get("type"), asked.get("format")
        if format not in (None, "text", "base64") or content not in ("0", "1"):
            raise InvalidPath("format must be text or base64, content 0 or 1.")
        kind = kind if kind in (None, *NEW) else "file"  # as Jupyter takes what it does not know
        return Json(await tree.read(path, content=content == "1", kind=kind, format=format))

    async def new(self, request: Request) -> Response:
        """Something untitled, or a copy, in the directory at the path."""
        tree, path = self._tree(request)
        body = await json_body(request)
        spot = await tree.spot(path)
        if spot is None:
            return _created(await self._session(tree, body))
        origin = text(body, "copy_from")
        made = await self._copy(tree, spot, origin) if origin else await self._untitled(tree, spot, body)
        return _created(made)

    async def _session(self, tree: Tree, body: Model) -> Model:
        """At the root: a session. A directory is its folder, anything else its notebook. InvalidPath for a file."""
        if body.get("type") not in ("notebook", "directory") or body.get("copy_from"):
            raise InvalidPath("Here are the folders of conversations only; files go into one of them.")
        view = await self.interpreter.create(tree.owner)
        folder = places.folder(view["title"], view["id"])
        path = folder if body["type"] == "directory" else f"{folder}/{NOTEBOOK}"
        return await tree.read(path, content=False, kind=None, format=None)

    async def _untitled(self, tree: Tree, spot: Spot, body: Model) -> Model:
        kind = text(body, "type") or "file"
        if kind not in NEW:
            raise InvalidRequest("type must be notebook, directory or file.")
        stem, ending = NEW[kind]
        name = places.untitled(await tree.names(spot, spot.inside), stem, ending or text(body, "ext") or "")
        content: Any = EMPTY if kind == "notebook" else ""
        model = {"type": kind, "format": "json" if kind == "notebook" else "text", "content": content}
        return await tree.save(await _in(tree, spot, name), model)

    async def _copy(self, tree: Tree, spot: Spot, origin: str) -> Model:
        source = await tree.below(origin)
        name = places.copied(await tree.names(spot, spot.inside), source.inside.rpartition("/")[2])
        target = await _in(tree, spot, name)
        await tree.write(target, await self._bytes(tree, source))
        return await tree.read(target.given, content=False, kind=None, format=None)

    async def put(self, request: Request) -> Response:
        tree, path = self._tree(request)
        spot, body = await tree.below(path), await json_body(request)
        if body.get("chunk"):
            hint = "Upload it with PUT /api/jupyter/kernel/{id}/files/{path}."
            raise InvalidRequest("Files in several pieces are not taken here.", hint=hint)
        return Json(await tree.save(spot, body))

    async def rename(self, request: Request) -> Response:
        """A folder's new name is its session's title; its notebook's is an alias; a file's is a file's."""
        tree, path = self._tree(request)
        new = (text(await json_body(request), "path") or "").strip("/")
        spot = await tree.spot(path)
        if spot is None or not new:
            raise InvalidPath("The root keeps its name.")
        if not spot.inside:
            return await self._retitled(tree, spot, new)
        target = places.place(new)
        if target is None or not spot.id.startswith(target.start or "-") or not target.inside:
            raise InvalidPath("What is in a folder stays in it.")
        if spot.is_notebook:
            await self._call(tree, spot, new, target.inside)
        else:
            await self.interpreter.rename_file(tree.owner, spot.id, spot.inside, target.inside)
        return Json(await tree.read(new, content=False, kind=None, format=None))

    async def _retitled(self, tree: Tree, spot: Spot, new: str) -> Response:
        if "/" in new:
            raise InvalidPath("Folders of conversations are at the root.")
        where = places.place(new)
        view = await self.interpreter.rename(tree.owner, spot.id, where.title if where else new)
        folder = places.folder(view["title"], view["id"])
        return Json(await tree.read(folder, content=False, kind=None, format=None))

    async def _call(self, tree: Tree, spot: Spot, path: str, inside: str) -> None:
        name = path.rpartition("/")[2]
        if not name.endswith(".ipynb") or path.count("/") != 1:
            raise InvalidPath("A conversation's notebook stays in its folder, and a notebook.")
        alias: Alias = {"path": path, "name": name, "type": "notebook"}
        await self.interpreter.name_notebook(tree.owner, spot.id, alias, file=inside)
        if not spot.desk.kernel["title"] and places.title_of(path):
            await self.interpreter.rename(tree.owner, spot.id, places.title_of(path))

    async def delete(self, request: Request) -> Response:
        """Files only: a conversation is more than a folder."""
        tree, path = self._tree(request)
        spot = await tree.spot(path)
        if spot is None or not spot.inside or spot.is_notebook:
            hint = "Delete the conversation on the page, or with DELETE /api/jupyter/kernel/{id}."
            raise Forbidden("A conversation is not deleted as a file.", hint=hint)
        await self.interpreter.delete_file(tree.owner, spot.id, spot.inside)
        return Response(status_code=204)

    # checkpoints: one of each file, beside it as Jupyter has them

    async def checkpoints(self, request: Request) -> Response:
        tree, path = self._tree(request)
        try:
            kept = await tree.read(_kept(await tree.below(path)).given, content=False, kind=None, format=None)
        except FileNotFound:
            return Json([])
        return Json([{"id": CHECKPOINT, "last_modified": kept["last_modified"]}])

    async def keep(self, request: Request) -> Response:
        tree, path = self._tree(request)
        spot = await tree.below(path)
        await tree.write(_kept(spot), await self._bytes(tree, spot))
        kept = await tree.read(_kept(spot).given, content=False, kind=None, format=None)
        return Json({"id": CHECKPOINT, "last_modified": kept["last_modified"]}, 201)

    async def go_back(self, request: Request) -> Response:
        tree, path = self._tree(request)
        spot = await tree.below(path)
        data = await tree.data(_kept(spot))
        if spot.is_notebook:
            kept = await asyncio.to_thread(models.as_notebook, data)
            await self.interpreter.import_notebook(tree.owner, spot.id, kept)
        else:
            await tree.write(spot, data)
        return Response(status_code=204)

    async def forget(self, request: Request) -> Response:
        tree, path = self._tree(request)
        spot = _kept(await tree.below(path))
        await self.interpreter.delete_file(tree.owner, spot.id, spot.inside)
        return Response(status_code=204)

    async def _bytes(self, tree: Tree, spot: Spot) -> bytes:
        if not spot.is_notebook:
            return await tree.data(spot)
        return await asyncio.to_thread(models.bytes_of, await tree.notebook(spot, True))


async def _in(tree: Tree, spot: Spot, name: str) -> Spot:
    """A place in a directory."""
    return await tree.below(spot.path(f"{spot.inside}/{name}" if spot.inside else name))


def _kept(spot: Spot) -> Spot:
    """Where the checkpoint of a file is."""
    above, _, name = spot.inside.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    kept = f"{stem or ending}-{CHECKPOINT}{dot}{ending if stem else ''}"
    inside = "/".join(part for part in (above, KEPT, kept) if part)
    return Spot(spot.desk, inside, spot.path(inside))


def _created(model: Model) -> Response:
    return Json(model, 201, headers={"Location": f"/api/contents/{model['path']}"})
