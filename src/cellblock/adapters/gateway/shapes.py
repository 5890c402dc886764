"""Jupyter's own shapes of kernels, kernelspecs and sessions. Pure."""

from collections.abc import Mapping
from typing import Any

from cellblock.host.interpreter import Desk, EnvironmentView

API_VERSION = "2.17.0"  # of Jupyter Server: whose API this is
ALIASES = {"python": "python3"}  # one kernelspec under two names, as everywhere in Jupyter


def kernel(desk: Desk) -> dict[str, Any]:
    """A kernel model."""
    view = desk.kernel
    return {
        "id": view["id"],
        "name": view["environment"],
        "last_activity": view["last_used"],
        "execution_state": view["state"],
        "connections": desk.connections,
    }


def session(desk: Desk, path: str) -> dict[str, Any]:
    """A session model: the notebook at `path`, and its kernel."""
    alias = desk.alias
    return {
        "id": desk.kernel["id"],
        "path": alias["path"] if alias else path,
        "name": alias["name"] if alias else path.rpartition("/")[2],
        "type": alias["type"] if alias else "notebook",
        "kernel": kernel(desk),
        "notebook": {"path": path, "name": path.rpartition("/")[2]},
    }


def kernelspec(environment: EnvironmentView, resources: Mapping[str, str]) -> dict[str, Any]:
    """A kernelspec model; its command is ours to run, nobody else's."""
    name = environment["name"]
    return {
        "name": name,
        "spec": {
            "argv": ["cellblock", "kernel", "{connection_file}"],
            "display_name": environment["display_name"],
            "language": environment["language"],
            "env": {},
            "interrupt_mode": "message",
            "metadata": {"debugger": False},
        },
        "resources": dict(resources),
    }
