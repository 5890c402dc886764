"""jupyter-mcp-server, asked over MCP: `mcp_run.py URL TOKEN KERNEL`. Prints the text of three answers as JSON."""

import asyncio
import json
import os
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

URL, TOKEN, KERNEL = sys.argv[1:]
SERVER = StdioServerParameters(
    command=str(Path(sys.executable).with_name("jupyter-mcp-server")),
    env={**os.environ, "JUPYTER_URL": URL, "JUPYTER_TOKEN": TOKEN, "JUPYTERLAB": "false"},
)


async def main() -> None:
    async with stdio_client(SERVER) as streams, ClientSession(*streams) as session:
        await session.initialize()

        async def call(name: str, **arguments: object) -> str:
            result = await session.call_tool(name, arguments)
            return "\n".join(getattr(each, "text", "") for each in result.content)

        kernels = await call("list_kernels")
        own = await call("execute_code", code="print(6 * 7)")
        theirs = await call("execute_code", code="print(mine)", kernel_id=KERNEL)
    print(json.dumps({"kernels": kernels, "own": own, "theirs": theirs}))


asyncio.run(main())
