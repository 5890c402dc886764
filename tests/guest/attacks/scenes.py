"""Attacks of more than one line: their program in the kernel, and what the host sees of it.

Each answers with what was attempted (True: it got through), with the control (True: it was allowed) and with what was seen.
A scene that is `slow` is in `make test-all` only.
"""

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from client import Workbench

Finding: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    family: str
    name: str
    act: Callable[[Workbench], Awaitable[Finding]]
    levels: tuple[str, ...]
    slow: bool


SCENES: list[Scene] = []
BOTH, FULL = ("full", "unprivileged"), ("full",)


def scene(
    family: str, *, levels: tuple[str, ...] = BOTH, slow: bool = True
) -> Callable[[Callable[[Workbench], Awaitable[Finding]]], Callable[[Workbench], Awaitable[Finding]]]:
    """Puts a function into the catalogue; its name, in words, is the attack's."""

    def add(act: Callable[[Workbench], Awaitable[Finding]]) -> Callable[[Workbench], Awaitable[Finding]]:
        SCENES.append(Scene(family, act.__name__.replace("_", " "), act, levels, slow))
        return act

    return add


def finding(through: object, control: object, seen: object) -> Finding:
    return {"through": bool(through), "control": bool(control), "seen": str(seen)[-2000:]}


async def play(bench: Workbench, chosen: list[Scene]) -> dict[str, Finding]:
    """Scenes one after the other, in one fork server; one that breaks spoils no other."""
    return {scene.name: await played(bench, scene) for scene in chosen}


async def played(bench: Workbench, scene: Scene) -> Finding:
    try:
        return await scene.act(bench)
    except Exception:
        return finding(False, False, traceback.format_exc())
