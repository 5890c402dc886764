"""nbclient over jupyter_server's gateway manager: `nbclient_run.py`, pointed by JUPYTER_GATEWAY_*. Prints the notebook."""

import nbformat
from jupyter_server.gateway.managers import GatewayKernelManager
from nbclient import NotebookClient

cells = [
    "x = 20\nprint('first')",
    "x + 1",
    "from IPython.display import display, HTML\nh = display(HTML('<b>1</b>'), display_id='d')",
    "h.update(HTML('<b>2</b>'))",
]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(notebook, kernel_name="python3", kernel_manager_class=GatewayKernelManager).execute()
print(nbformat.writes(notebook))
