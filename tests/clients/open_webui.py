"""The calls that Open WebUI's code execution makes, in its order: `open_webui.py URL TOKEN CODE`. Prints what it collects.

Its own package brings a whole chat server along; these are the requests its executor sends, with the libraries it uses.
"""

import asyncio
import json
import sys
import uuid
from typing import Any

import aiohttp
import websockets

URL, TOKEN, CODE = sys.argv[1:]


async def main() -> None:
    params = {"token": TOKEN} if TOKEN else {}
    async with aiohttp.ClientSession(trust_env=True, base_url=f"{URL}/") as http:
        async with http.post("api/kernels", params=params) as made:  # without a body
            made.raise_for_status()
            kernel = (await made.json())["id"]
        query = f"?token={TOKEN}" if TOKEN else ""
        address = f"{URL.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels{query}"
        async with websockets.connect(address, additional_headers={}) as socket:
            collected = await run(socket)
        async with http.delete(f"api/kernels/{kernel}", params=params) as ended:
            ended.raise_for_status()
    print(json.dumps({**collected, "kernel": kernel}))


async def run(socket: Any) -> dict[str, str]:
    """One execute_request, until the idle that belongs to it."""
    id = uuid.uuid4().hex
    head = {"msg_id": id, "msg_type": "execute_request", "username": "user", "session": uuid.uuid4().hex}
    content = {"code": CODE, "silent": False, "store_history": True, "user_expressions": {}}
    asked = {
        "header": {**head, "date": "", "version": "5.3"},
        "parent_header": {},
        "metadata": {},
        "content": {**content, "allow_stdin": False, "stop_on_error": True},
        "channel": "shell",
    }
    await socket.send(json.dumps(asked))
    collected = {"stdout": "", "stderr": "", "result": ""}
    while True:
        said = json.loads(await asyncio.wait_for(socket.recv(), 60))
        told = said["content"]
        if said.get("parent_header", {}).get("msg_id") != id:
            continue
        if said["msg_type"] == "stream":
            collected[told["name"]] += told["text"]
        elif said["msg_type"] in ("execute_result", "display_data"):
            collected["result"] += "image/png" if "image/png" in told["data"] else told["data"]["text/plain"]
        elif said["msg_type"] == "error":
            collected["stderr"] += "\n".join(told["traceback"])
        elif said["msg_type"] == "status" and told["execution_state"] == "idle":
            return collected


asyncio.run(main())
