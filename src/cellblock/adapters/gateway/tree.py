"""What is in the tree that Jupyter shows, read and written through the interpreter: notebooks of sessions, files, folders."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from cellblock.adapters.gateway import models, places
from cellblock.adapters.gateway.models import Model
from cellblock.adapters.gateway.places import NOTEBOOK, Place
from cellblock.errors import FileNotFound, InvalidPath, KernelNotFound, TooLarge
from cellblock.host.interpreter import Desk, Interpreter

MAX_READ = 64 << 20  # bytes of a file that is answered as JSON
PAGE = 200


@dataclass(frozen=True)
class Spot:
    """A place that there is: a session, and the path in its folder."""

    desk: Desk
    inside: str
    given: str  # the path as the client has it

    @property
    def id(self) -> str:
        return self.desk.kernel["id"]

    @property
    def folder(self) -> str:
        return places.folder(self.desk.kernel["title"], self.id)

    @property
    def is_notebook(self) -> bool:
        """Whether it is the session's own notebook, under its name or the one a client gave it."""
        alias = self.desk.alias
        return self.inside in (NOTEBOOK, self.desk.file) or bool(alias and alias["path"] == self.given)

    def path(self, inside: str) -> str:
        """A path in the same folder, which is still called as the client calls it."""
        head = self.given.strip("/").partition("/")[0] or self.folder
        return f"{head}/{inside}" if inside else head


@dataclass(frozen=True)
class Tree:
    """Of one owner."""

    interpreter: Interpreter
    owner: str

    async def spot(self, path: str) -> Spot | None:
        """None at the root. FileNotFound, InvalidPath."""
        where = places.place(path)
        if where is None:
            raise FileNotFound(f"There is no {path[:200]!r}.")
        return None if where.start is None else await self._there(where, path)

    async def _there(self, where: Place, path: str) -> Spot:
        try:
            view = await self.interpreter.find(self.owner, where.start or "")
        except KernelNotFound:
            raise FileNotFound(f"There is no {path[:200]!r}.") from None
        return Spot(await self.interpreter.desk(self.owner, view["id"]), where.inside, path.strip("/"))

    async def below(self, path: str) -> Spot:
        """A place in a folder; the root and what is just below it are ours to make. FileNotFound, InvalidPath."""
        spot = await self.spot(path)
        if spot is None or not spot.inside:
            raise InvalidPath("Here are the folders of conversations only.")
        return spot

    # reading

    async def read(self, path: str, *, content: bool, kind: str | None, format: str | None) -> Model:
        """The model of what is there. InvalidPath when that is of another kind."""
        spot = await self.spot(path)
        if spot is None or not spot.inside:
            models.agree(path, "directory", kind)
        elif spot.is_notebook:
            models.agree(path, "notebook", kind)
        if spot is None:
            return models.directory("", "1970-01-01T00:00:00Z", await self._folders() if content else None)
        if spot.is_notebook and kind == "file" and content:
            return await self._downloaded(spot, format)
        if spot.is_notebook:
            return await self.notebook(spot, content)
        if not spot.inside:
            return await self._folder(spot, "", content)
        return await self._entry(spot, content, kind, format)

    async def notebook(self, spot: Spot, content: bool) -> Model:
        ipynb = None
        if content:
            exported = await self.interpreter.export(self.owner, spot.id, "ipynb")
            ipynb = await asyncio.to_thread(models.as_notebook, exported.body)
        return models.notebook(spot.given, spot.desk.changed, ipynb)

    async def _downloaded(self, spot: Spot, format: str | None) -> Model:
        """A session's notebook as the file it would be."""
        data = (await self.interpreter.export(self.owner, spot.id, "ipynb")).body
        made = models.file(spot.given, spot.desk.changed, len(data))
        return await asyncio.to_thread(models.filled, made, data, "file", format)

    async def _folders(self) -> list[Model]:
        found: list[Model] = []
        after: str | None = None
        while True:
            page = await self.interpreter.kernels(self.owner, limit=PAGE, after=after)
            found += [
                models.directory(places.folder(view["title"], view["id"]), view["last_used"], None)
                for view in page["items"]
            ]
            after = page["next"]
            if after is None:
                return found

    async def _folder(self, spot: Spot, directory: str, content: bool) -> Model:
        inner: list[Model] | None = None
        if content:
            entries = places.below(await self.interpreter.files(self.owner, spot.id), directory)
            inner = [self._listed(spot, entry) for entry in entries if entry["type"] != "other"]
            if not directory:
                own = models.notebook(spot.path(NOTEBOOK), spot.desk.changed, None)
                inner = [own, *(model for model in inner if model["name"] != NOTEBOOK)]
        return models.directory(spot.path(directory), spot.desk.kernel["last_used"], inner)

    def _listed(self, spot: Spot, entry: Any) -> Model:
        path = spot.path(entry["path"])
        if entry["type"] == "directory":
            return models.directory(path, entry["modified"], None)
        return models.file(path, entry["modified"], entry["size"])

    async def _entry(self, spot: Spot, content: bool, kind: str | None, format: str | None) -> Model:
        entries = await self.interpreter.files(self.owner, spot.id)
        found = next((each for each in entries if each["path"] == spot.inside), None)
        if found is None:
            raise FileNotFound(f"There is no {spot.given[:200]!r}.")
        models.agree(spot.given, found["type"], kind)
        if found["type"] == "directory":
            return await self._folder(spot, spot.inside, content)
        model = self._listed(spot, found)
        if not content:
            return model
        return await asyncio.to_thread(models.filled, model, await self.data(spot), kind, format)

    async def data(self, spot: Spot) -> bytes:
        """The bytes of a file. TooLarge when it has too many to be answered as JSON."""
        with await self.interpreter.open_file(self.owner, spot.id, spot.inside) as opened:
            if opened.size > MAX_READ:
                raise TooLarge(f"The file has {opened.size:,} bytes; at most {MAX_READ:,} are answered here.")
            return b"".join([chunk async for chunk in opened.aiter(0, opened.size)])

    async def names(self, spot: Spot, directory: str) -> set[str]:
        """The names taken in a directory."""
        entries = places.below(await self.interpreter.files(self.owner, spot.id), directory)
        return {NOTEBOOK, *(entry["path"].rpartition("/")[2] for entry in entries)}

    # writing

    async def save(self, spot: Spot, body: Model) -> Model:
        """A notebook or a file as a client has it."""
        if spot.is_notebook:
            await self.interpreter.import_notebook(self.owner, spot.id, body.get("content") or {}, keep=True)
        elif body.get("type") == "directory":
            await self.interpreter.make_directory(self.owner, spot.id, spot.inside)
        else:
            await self.write(spot, await asyncio.to_thread(models.bytes_of, body))
        return await self.read(spot.given, content=False, kind=None, format=None)

    async def write(self, spot: Spot, data: bytes) -> None:
        await self.interpreter.write_file(self.owner, spot.id, spot.inside, one(data), size=len(data))


async def one(data: bytes) -> AsyncIterator[bytes]:
    """Bytes as a stream of one piece."""
    yield data
