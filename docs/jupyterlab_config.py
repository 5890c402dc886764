"""A JupyterLab whose notebooks, files and kernels are those of a Cellblock's conversations. Nothing needs to be installed:

JUPYTER_GATEWAY_AUTH_TOKEN=TOKEN jupyter lab --gateway-url=http://localhost:3000 --config=jupyterlab_config.py

Kernels come through Jupyter's own gateway client; this file sends contents and sessions the same way.
"""

import json
from typing import Any
from urllib.parse import quote, urlencode

from jupyter_server.gateway.gateway_client import GatewayClient, gateway_request
from jupyter_server.gateway.managers import GatewaySessionManager
from jupyter_server.services.contents.manager import AsyncContentsManager
from tornado.web import HTTPError


async def ask(method: str, path: str, body: Any = None, **query: Any) -> Any:
    """The JSON of an answer, None where there is none. HTTPError with the status and the sentence of the other side."""
    wanted = urlencode({name: value for name, value in query.items() if value is not None})
    url = f"{GatewayClient.instance().url}/api/{quote(path)}?{wanted}"
    data = None if method in ("GET", "DELETE") else json.dumps(body or {})
    answer = await gateway_request(url, method=method, headers={"Content-Type": "application/json"}, body=data)
    return json.loads(answer.body) if answer.body else None


def contents(path: str, *rest: str) -> str:
    return "/".join(filter(None, ("contents", path.strip("/"), *rest)))


class Conversations(AsyncContentsManager):
    """One folder for each conversation. Models go through as they come: both sides speak Jupyter's."""

    async def get(self, path: str, content: bool = True, type: str | None = None, format: str | None = None) -> Any:
        return await ask("GET", contents(path), content=int(content), type=type, format=format)

    async def save(self, model: Any, path: str = "") -> Any:
        return await ask("PUT", contents(path), model)

    new = save

    async def new_untitled(self, path: str = "", type: str = "", ext: str = "") -> Any:
        return await ask("POST", contents(path), {"type": type or "file", "ext": ext})

    async def copy(self, from_path: str, to_path: str | None = None) -> Any:
        directory = from_path.strip("/").rpartition("/")[0] if to_path is None else to_path
        return await ask("POST", contents(directory), {"copy_from": from_path.strip("/")})

    async def update(self, model: Any, path: str) -> Any:
        return await ask("PATCH", contents(path), {"path": model.get("path", path)})

    async def delete(self, path: str) -> None:
        await ask("DELETE", contents(path))

    async def is_hidden(self, path: str) -> bool:
        return False

    async def file_exists(self, path: str = "") -> bool:
        return await self._kind(path) in ("file", "notebook")

    async def dir_exists(self, path: str) -> bool:
        return await self._kind(path) == "directory"

    async def _kind(self, path: str) -> str | None:
        try:
            return str((await self.get(path, content=False))["type"])
        except HTTPError as problem:
            if problem.status_code == 404:
                return None
            raise

    async def list_checkpoints(self, path: str) -> Any:
        return await ask("GET", contents(path, "checkpoints"))

    async def create_checkpoint(self, path: str) -> Any:
        return await ask("POST", contents(path, "checkpoints"))

    async def restore_checkpoint(self, checkpoint_id: str, path: str) -> None:
        await ask("POST", contents(path, "checkpoints", checkpoint_id))

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:
        await ask("DELETE", contents(path, "checkpoints", checkpoint_id))

    async def trust_notebook(self, path: str) -> None:
        raise HTTPError(501, "Run a cell to trust its output.")


class Sessions(GatewaySessionManager):
    """A notebook runs in its conversation's kernel, not in one of its own."""

    async def start_kernel_for_session(
        self, session_id: str, path: str, name: str, type: str, kernel_name: str, kernel_id: str | None = None
    ) -> str:
        wanted = {"id": kernel_id} if kernel_id else {"name": kernel_name}
        session = await ask("POST", "sessions", {"path": path, "name": name, "type": type, "kernel": wanted})
        return str(await self.kernel_manager.start_kernel(kernel_id=session["kernel"]["id"]))


c.ServerApp.contents_manager_class = Conversations  # noqa: F821  (Jupyter gives `c`)
c.ServerApp.session_manager_class = Sessions  # noqa: F821
c.ContentsManager.files_handler_params = {"path": ""}  # noqa: F821  (Jupyter's handler of downloads wants one, and asks us)
