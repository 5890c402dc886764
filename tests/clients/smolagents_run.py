"""smolagents' way of calling a kernel in a container, without the container: `smolagents_run.py URL TOKEN`."""

import json
import sys

from smolagents.monitoring import AgentLogger, LogLevel
from smolagents.remote_executors import DockerExecutor, _create_kernel_http
from smolagents.utils import AgentError

URL, TOKEN = sys.argv[1:]

executor = DockerExecutor.__new__(DockerExecutor)
executor.logger, executor.base_url, executor.allow_pickle = AgentLogger(level=LogLevel.OFF), URL, False
executor._wait_for_server(TOKEN)
executor.kernel_id = _create_kernel_http(f"{URL}/api/kernels?token={TOKEN}", executor.logger)
executor.ws_url = f"{URL.replace('http', 'ws')}/api/kernels/{executor.kernel_id}/channels?token={TOKEN}"
executor.send_variables({"given": [1, 2, 3]})
said = executor.run_code_raise_errors("print(sum(given)); 'the answer'")
try:
    executor.run_code_raise_errors("1/0")
except AgentError as problem:
    raised = "ZeroDivisionError" in str(problem)
print(json.dumps({"id": executor.kernel_id, "output": said.output, "logs": said.logs, "raised": raised}))
