"""What this host gives to shut kernels in, and what its environments lack, for a person or a machine."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cellblock.errors import CellblockError
from cellblock.host.launcher import Environment, probe
from cellblock.host.remote.rest import Refused, Unanswered
from cellblock.host.remote.upstream import Upstream
from cellblock.host.servers import Remote

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
    lines = _lines(found["layers"])
    lines.append(f"Sandbox level here: {found['level'] or 'none'} (CELLBLOCK_SANDBOX={wanted})")
    if not sufficient(wanted, found["level"]):
        lines.append("Kernels will not start with this setting.")
    return "\n".join(lines)


def _lines(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for layer in layers:
        lines.append(f"{'yes' if layer['ok'] else 'no':<4} {layer['name']:<24} {layer['detail']}".rstrip())
        if not layer["ok"] and layer["remedy"]:
            lines.append(f"     {'':<24} → {layer['remedy']}")
    return lines


async def look_at_servers(remote: Remote) -> list[dict[str, Any]]:
    """Whether each Jupyter server answers, as a layer: kernels come from those that do."""
    upstreams = [Upstream(server, remote) for server in remote.servers]
    try:
        return list(await asyncio.gather(*(_server(upstream) for upstream in upstreams)))
    finally:
        await asyncio.gather(*(upstream.aclose() for upstream in upstreams))


async def _server(upstream: Upstream) -> dict[str, Any]:
    name, remedy = f"server {upstream.server.name}", ""
    try:
        look = await upstream.look()
    except Unanswered as problem:
        return {"name": name, "ok": False, "detail": str(problem), "remedy": "start it, or correct its address"}
    except Refused as problem:
        remedy = "give its token or password" if problem.status in (401, 403) else "see its log"
        return {"name": name, "ok": False, "detail": str(problem), "remedy": remedy}
    files = "/api/contents" if upstream.contents else "the kernels themselves"
    detail = f"kernelspecs {', '.join(sorted(look.specs)) or 'none'}; files travel by {files}"
    return {"name": name, "ok": True, "detail": detail, "remedy": ""}


def report_servers(layers: Sequence[Mapping[str, Any]]) -> str:
    """The same for a person."""
    return "\n".join([*_lines(layers), "Kernels come from these servers; how they are shut in is theirs to say."])
