"""Who burns processors weighs less than the other sandboxes, until it rests."""

import asyncio
from pathlib import Path

import pytest
from conftest import Start
from interpreting import OWNER, Bench

from cellblock.host.meter import WEIGHTS, GroupMeter

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENDLESS = "print('on', flush=True)\nwhile True: pass"


class Group:
    """A cgroup's files, as the system would keep them; one directory is all of version 2."""

    def __init__(self, place: Path, version: int) -> None:
        self.place, self.version = place, version
        self.name, self.usual, self.quarter = WEIGHTS[version]
        self.used(0)
        (place / self.name).write_text("as it was left")
        self.meter = GroupMeter(version, str(place), str(place), str(place))

    def used(self, milliseconds: int) -> None:
        if self.version == 1:
            (self.place / "cpuacct.usage").write_text(f"{milliseconds * 1_000_000}\n")
        else:
            (self.place / "cpu.stat").write_text(f"usage_usec {milliseconds * 1000}\nuser_usec 0\n")

    @property
    def weight(self) -> str:
        return (self.place / self.name).read_text()


@pytest.fixture(params=[1, 2])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Group:
    return Group(tmp_path, request.param)


async def test_one_look_tells_nothing(group: Group) -> None:
    group.used(90_000)
    group.meter.be_fair(10.0)
    assert group.weight == "as it was left"


async def test_more_than_half_a_processor_is_much(group: Group) -> None:
    group.meter.be_fair(10.0)
    group.used(1001)
    group.meter.be_fair(12.0)
    assert group.weight == str(group.quarter)


async def test_half_a_processor_is_not_and_what_another_server_has_left_is_set_right(group: Group) -> None:
    group.meter.be_fair(10.0)
    group.used(1000)
    group.meter.be_fair(12.0)
    assert group.weight == str(group.usual)


async def test_who_rests_weighs_what_is_usual_again(group: Group) -> None:
    for now, used in ((10.0, 0), (12.0, 4000), (14.0, 8000), (16.0, 8100)):
        group.used(used)
        group.meter.be_fair(now)
    assert group.weight == str(group.usual)


async def test_a_group_that_has_gone_is_nobodys_problem(group: Group) -> None:
    group.meter.be_fair(10.0)
    group.used(5000)
    group.meter._weight = f"{group.place}/gone"
    group.meter.be_fair(12.0)
    group.meter.close()
    group.meter.be_fair(14.0)


def shared(bench: Bench, kernel_id: str) -> bool:
    """Whether the system divides processors among the groups in the server's: a slice may be without that controller."""
    paths = bench.process(kernel_id).cgroups.get("paths", {})
    unified = Path(paths.get("all", "/nowhere"), "cgroup.controllers")
    return "cpu" in paths or (unified.exists() and "cpu" in unified.read_text().split())


def weight_of(bench: Bench, kernel_id: str) -> str:
    meter = bench.process(kernel_id)._meter
    assert isinstance(meter, GroupMeter)
    return Path(f"{meter._weight}/{WEIGHTS[meter._version][0]}").read_text().strip()


async def until(bench: Bench, kernel_id: str, weight: int) -> None:
    while await asyncio.to_thread(weight_of, bench, kernel_id) != str(weight):
        pass  # the server looks again and again


@pytest.mark.timeout(60)
async def test_a_kernel_that_burns_weighs_a_quarter_and_others_what_they_did(start: Start) -> None:
    bench = await start()
    burning, resting = await bench.kernel(), await bench.kernel()
    if not shared(bench, burning):
        pytest.skip("no cgroup here shares processors")
    _, usual, quarter = WEIGHTS[bench.process(burning).cgroups["version"]]
    running = await bench.submit(ENDLESS, burning)
    await until(bench, burning, quarter)
    assert weight_of(bench, resting) == str(usual)
    await bench.interpreter.interrupt(OWNER, burning)
    await bench.wait(running)
    await until(bench, burning, usual)
