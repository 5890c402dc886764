"""Real clients from PyPI, each in an environment of its own, against a live server: none of them knows that it is ours."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from live_server import Live, living

CLIENTS = Path(__file__).parents[1] / "clients"
sys.path.insert(0, str(CLIENTS))

from environments import python_of  # noqa: E402

TOKEN = "a-token"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server that wants its token of everybody."""
    with living(tmp_path_factory.mktemp("clients"), token=TOKEN, loopback_trust=False) as live:
        live.headers["authorization"] = f"Bearer {TOKEN}"
        yield live


def url(live: Live) -> str:
    return f"http://localhost:{live.port}"


def client(name: str, script: str, *arguments: str, **environment: str) -> str:
    """What a client prints."""
    command = [python_of(name), CLIENTS / script, *arguments]
    surroundings = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=surroundings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sources(live: Live, kernel: str) -> list[str]:
    return [cell["source"] for cell in live.get(f"/api/jupyter/kernel/{kernel}/notebook").json()["cells"]]


def state(live: Live, kernel: str) -> str:
    return str(live.get(f"/api/jupyter/kernel/{kernel}").json()["state"])


def test_jupyter_kernel_client(served: Live) -> None:
    said = json.loads(client("kernel-client", "kernel_client.py", url(served), TOKEN))
    assert [output["output_type"] for output in said["hello"]["outputs"]] == ["stream", "execute_result"]
    assert (said["hello"]["status"], said["hello"]["execution_count"]) == ("ok", 1)
    assert said["failed"]["outputs"][0]["ename"] == "ZeroDivisionError"
    assert "given" in said["names"]
    assert said["forgotten"]["outputs"][0]["ename"] == "NameError"
    assert sources(served, said["id"])[:2] == ["print('hello'); 1 + 1", "1/0"]
    assert state(served, said["id"]) == "released"


def test_nbclient_through_a_gateway(live: Live) -> None:
    """Its gateway client sends no token over its socket: it is this machine's own user who may."""
    executed = nbformat.reads(client("nbclient", "nbclient_run.py", JUPYTER_GATEWAY_URL=url(live)), 4)
    nbformat.validate(executed)
    assert [cell.execution_count for cell in executed.cells] == [1, 2, 3, 4]
    assert executed.cells[0].outputs[0].text == "first\n"
    assert executed.cells[1].outputs[0].data["text/plain"] == "21"
    assert executed.cells[2].outputs[0].data["text/html"] == "<b>2</b>"


@pytest.mark.slow
def test_autogens_jupyter_executor(served: Live) -> None:
    said = json.loads(client("autogen", "autogen_run.py", "localhost", str(served.port), TOKEN))
    assert (said["first"][0], said["first"][1].strip(), said["files"], said["failed"]) == (0, "42", [".png"], 1)


@pytest.mark.slow
def test_smolagents_way_of_calling(served: Live) -> None:
    said = json.loads(client("smolagents", "smolagents_run.py", url(served), TOKEN))
    assert (said["output"], said["logs"], said["raised"]) == ("'the answer'", "6\n", True)
    assert state(served, said["id"]) == "idle"


@pytest.mark.slow
def test_open_webuis_sequence_of_calls(served: Live) -> None:
    code = "import matplotlib.pyplot as plt\nprint('drawn')\nplt.plot([1, 2]); plt.show()"
    said: dict[str, Any] = json.loads(client("autogen", "open_webui.py", url(served), TOKEN, code))
    assert (said["stdout"], said["stderr"], said["result"]) == ("drawn\n", "", "image/png")
    assert state(served, said["kernel"]) == "released"
    failed = json.loads(client("autogen", "open_webui.py", url(served), TOKEN, "1/0"))
    assert "ZeroDivisionError" in failed["stderr"]


@pytest.mark.slow
def test_jupyter_mcp_server(served: Live) -> None:
    kernel = served.create(title="Shared")
    served.post("/api/jupyter/execute", json={"code": "mine = 77", "kernel_id": kernel})
    said = json.loads(client("mcp", "mcp_run.py", url(served), TOKEN, kernel))
    assert kernel in said["kernels"]
    assert (said["own"].strip(), said["theirs"].strip()) == ("42", "77")
    assert sources(served, kernel) == ["mine = 77", "print(mine)"]
