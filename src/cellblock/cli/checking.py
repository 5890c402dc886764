"""What this host gives to shut kernels in, for a person or a machine."""

from collections.abc import Mapping
from typing import Any


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
