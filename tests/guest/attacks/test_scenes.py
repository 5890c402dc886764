"""Every scene of the catalogue at every level, as root and as an ordinary user: nothing gets through, and the control does."""

from typing import Any

import pytest
from conftest import Scenes

from attacks import exhaustion, others, workspaces  # noqa: F401  they fill the catalogue
from attacks.scenes import SCENES, Scene

FAMILIES = sorted({scene.family for scene in SCENES})
QUICK = [scene for scene in SCENES if not scene.slow]
LONG = [scene for scene in SCENES if scene.slow]


def at_their_levels(scenes: list[Scene]) -> pytest.MarkDecorator:
    """Each scene at each of its levels, instead of at all there are."""
    pairs = [pytest.param(scene, level, id=f"{level}-{scene.name}") for scene in scenes for level in scene.levels]
    return pytest.mark.parametrize(("scene", "level"), pairs)


def judge(scene: Scene, found: dict[str, Any]) -> None:
    seen = found[scene.name]
    if reason := seen.get("skip"):
        pytest.skip(reason)
    assert seen["control"], f"the control is broken: {seen['seen']}"
    assert not seen["through"], seen["seen"]


@at_their_levels(QUICK)
def test_an_attack_does_not_get_through(scene: Scene, scenes: Scenes, user: int, level: str) -> None:
    judge(scene, scenes(user, level, "quick:all")["all"])


@pytest.mark.slow
@pytest.mark.timeout(400)
@at_their_levels(LONG)
def test_a_long_attack_does_not_get_through(scene: Scene, scenes: Scenes, user: int, level: str) -> None:
    judge(scene, scenes(user, level, f"slow:{scene.family}")[scene.family])


@pytest.mark.parametrize("family", FAMILIES)
def test_one_attack_of_each_family_is_quick(family: str) -> None:
    assert any(scene.family == family for scene in QUICK)
