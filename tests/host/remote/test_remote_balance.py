"""The decision which server gets a new kernel."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cellblock.host.remote.balance import Standing, choose, takes

NOW = 100.0
counts = st.integers(0, 20)
standings = st.builds(
    Standing,
    name=st.text("abc", min_size=1, max_size=3),
    healthy=st.booleans(),
    draining=st.booleans(),
    counted=st.none() | counts,
    since=st.integers(-3, 5),
    ours=counts,
    rests=st.sampled_from([float("-inf"), NOW, NOW + 1]),
    kernels=st.none() | st.frozensets(st.sampled_from(["python3", "ir"])),
)
fleets = st.lists(standings, max_size=6, unique_by=lambda each: each.name)
draws = st.floats(0, 1, exclude_max=True)


@given(fleets, draws, st.sets(st.text("abc", min_size=1, max_size=3)))
def test_the_least_loaded_server_that_takes_one_is_chosen(fleet: list[Standing], draw: float, asked: set[str]) -> None:
    chosen = choose(fleet, "python3", now=NOW, draw=draw, without=asked)
    able = {each.name: each.load for each in fleet if takes(each, "python3", NOW) and each.name not in asked}
    if chosen is None:
        assert not able
    else:
        assert able[chosen] == min(able.values())


@given(fleets, draws)
def test_no_dead_draining_resting_or_lacking_server_gets_one(fleet: list[Standing], draw: float) -> None:
    name = choose(fleet, "python3", now=NOW, draw=draw)
    chosen = next((each for each in fleet if each.name == name), None)
    if chosen:
        assert chosen.healthy
        assert not chosen.draining
        assert chosen.rests <= NOW
        assert chosen.kernels is None or "python3" in chosen.kernels


@given(fleets)
def test_every_one_of_the_equals_is_chosen_by_some_draw(fleet: list[Standing]) -> None:
    able = [each for each in fleet if takes(each, "python3", NOW)]
    least = min((each.load for each in able), default=0)
    equals = {each.name for each in able if each.load == least}
    count = max(1, len(equals))
    drawn = {choose(fleet, "python3", now=NOW, draw=n / count) for n in range(count)}
    assert drawn == (equals or {None})


@given(fleets, draws, st.randoms())
def test_the_order_in_which_servers_are_named_says_nothing(
    fleet: list[Standing], draw: float, any: random.Random
) -> None:
    shuffled = list(fleet)
    any.shuffle(shuffled)
    assert choose(fleet, "python3", now=NOW, draw=draw) == choose(shuffled, "python3", now=NOW, draw=draw)


@given(st.integers(1, 5), st.integers(0, 30), st.randoms())
def test_equal_servers_stay_equal_to_one_kernel(servers: int, kernels: int, any: random.Random) -> None:
    begun: Counter[str] = Counter()
    names = [f"s{n}" for n in range(servers)]
    for _ in range(kernels):
        fleet = [Standing(name, True, counted=0, since=begun[name], ours=begun[name]) for name in names]
        begun[str(choose(fleet, "python3", now=NOW, draw=any.random()))] += 1
    assert max(begun.values(), default=0) - min(begun[name] for name in names) <= 1


def test_kernels_of_others_count_as_well_as_those_it_does_not_know_of_yet() -> None:
    full = Standing("full", True, counted=3, ours=1)
    begun = Standing("begun", True, counted=0, since=2, ours=2)
    silent_on_it = Standing("silent", True, counted=None, ours=4)
    assert [each.load for each in (full, begun, silent_on_it)] == [3, 2, 4]
    assert choose([full, begun, silent_on_it], "python3", now=NOW, draw=0.9) == "begun"
