"""AutoGen's Jupyter executor: `autogen_run.py HOST PORT TOKEN`. Prints two results as JSON."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.docker_jupyter import DockerJupyterCodeExecutor
from autogen_ext.code_executors.docker_jupyter._jupyter_server import JupyterConnectionInfo

HOST, PORT, TOKEN = sys.argv[1:]
PLOT = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"


async def main() -> None:
    connection = JupyterConnectionInfo(host=HOST, use_https=False, port=int(PORT), token=TOKEN)
    made = Path(tempfile.mkdtemp())
    async with DockerJupyterCodeExecutor(connection, output_dir=made) as executor:
        blocks = [CodeBlock(code="x = 6 * 7", language="python"), CodeBlock(code="print(x)", language="python")]
        first = await executor.execute_code_blocks(blocks, CancellationToken())
        plot = await executor.execute_code_blocks([CodeBlock(code=PLOT, language="python")], CancellationToken())
        failed = await executor.execute_code_blocks([CodeBlock(code="1/0", language="python")], CancellationToken())
    files = [Path(file).suffix for file in plot.output_files]
    print(json.dumps({"first": [first.exit_code, first.output], "files": files, "failed": failed.exit_code}))


asyncio.run(main())
