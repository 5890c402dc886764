"""The sandbox fails closed: when any one step cannot be taken, no kernel starts, and the error names the step."""

from typing import Any

import pytest
from conftest import Scenes

from attacks.failing import BASE, LATE, LISTS, NEEDS, NO_RESTRICTION, name_of
from cellblock.guest import sandbox

STEPS = [(kind, step) for kind in LISTS for step in getattr(sandbox, kind) if step.name not in NO_RESTRICTION]


def test_every_step_has_a_refusal() -> None:
    assert {step.name for _, step in STEPS} == set(NEEDS)


@pytest.mark.parametrize(("kind", "step"), STEPS, ids=[name_of(kind, step) for kind, step in STEPS])
def test_a_step_that_fails_stops_the_kernel_and_is_named(
    kind: str, step: sandbox.Step, scenes: Scenes, user: int, level: str
) -> None:
    found = scenes(user, level, "failing")["failing"]
    assert found["none"] == "42", "a kernel without a refusal does not answer either"
    if level not in step.levels or (step.name == "user" and user):
        assert name_of(kind, step) not in found
        return
    told, left, sockets = found[name_of(kind, step)]
    assert f"Step “{step.name}” failed" in told
    assert left == 0
    assert kind == "OPENED" or sockets == []


def test_a_cgroup_that_takes_no_limit_stops_the_kernel(scenes: Scenes, user: int, level: str) -> None:
    found: dict[str, Any] = scenes(user, level, "failing")["failing"]
    if "cgroup" not in found:
        pytest.skip("this user may not write cgroups here")
    told, left, sockets = found["cgroup"]
    assert "Step “cgroup” failed" in told
    assert (left, sockets) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("name", BASE)
def test_a_base_that_cannot_be_made_stops_the_fork_server(name: str, scenes: Scenes, user: int) -> None:
    told = scenes(user, "full", "failing_base")["failing_base"][name]
    step, call = name.partition(":")[0], BASE[name][0]
    assert f"step “{step}” failed" in told
    assert call in told


@pytest.mark.slow
@pytest.mark.parametrize("name", LATE)
def test_a_fork_server_that_loses_its_way_starts_no_kernel(name: str, scenes: Scenes, user: int) -> None:
    assert "not started" in scenes(user, "full", "failing_base")["failing_base"][name]
