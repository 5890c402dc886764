"""jupyter-kernel-client: `kernel_client.py URL TOKEN`. Prints what came of it as JSON."""

import json
import sys

from jupyter_kernel_client import JupyterKernelClient

URL, TOKEN = sys.argv[1:]

with JupyterKernelClient(server_url=URL, token=TOKEN) as kernel:
    hello = kernel.execute("print('hello'); 1 + 1")
    failed = kernel.execute("1/0")
    kernel.execute("given = [1, 2]")
    names = [variable["name"] for variable in kernel.list_variables()]
    kernel.restart()
    forgotten = kernel.execute("given")
    id = kernel.id

print(json.dumps({"id": id, "hello": hello, "failed": failed, "names": names, "forgotten": forgotten}))
