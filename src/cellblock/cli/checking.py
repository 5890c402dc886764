"""What this host gives to shut kernels in, and what its environments lack, for a person or a machine."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cellblock.errors import CellblockError
from cellblock.host.launcher import Environment, probe

KERNEL = "ipykernel"


async def look(environments: Sequence[Environment]) -> dict[str, Any]:
    """The probe under the server's own interpreter, with a layer for each environment."""
    found = await probe()
    host = [layer for layer in found["layers"] if layer["name"] != KERNEL]
    return {**found, "layers": [*host, *[await _environment(each, found) for each in environments]]}


async def _environment(environment: Environment, own: Mapping[str, Any]) -> dict[str, Any]:
    """Whether kernels of an environment can be had at all; without one the others go on."""
    name = f"environment {environment.name}"
    try:
        found = own if environment.python == sys.executable else await probe(environment.python)
    except CellblockError as problem:
        remedy = f"correct [{environment.name}] in environments.toml"
        return {"name": name, "ok": False, "detail": problem.message, "remedy": remedy, "needed_for": ""}
    layer = next(layer for layer in found["layers"] if layer["name"] == KERNEL)
    return {**layer, "name": name, "detail": f"{KERNEL} {layer['detail']}"}


def complete(found: Mapping[str, Any]) -> bool:
    """Whether every environment can be had."""
    return all(layer["ok"] for layer in found["layers"] if layer["name"].startswith("environment "))


def sufficient(wanted: str, offered: str | None) -> bool:
    """Whether the best level of this host is what the setting demands."""
    return wanted == "off" or offered == "full" or (offered == "unprivileged" and wanted != "full")


def report(found: Mapping[str, Any], wanted: str) -> str:
    """The probe for a person: a line for each layer, and what to do where one is missing."""
    lines = []
    for layer in found["layers"]:
        lines.append(f"{'yes' if layer['ok'] else 'no':<4} {layer['name']:<24} {layer['detail']}".rstrip())
        if not layer["ok"] and layer["remedy"]:
            lines.append(f"     {'':<24} → {layer['remedy']}")
    lines.append(f"Sandbox level here: {found['level'] or 'none'} (CELLBLOCK_SANDBOX={wanted})")
    if not sufficient(wanted, found["level"]):
        lines.append("Kernels will not start with this setting.")
    return "\n".join(lines)
