"""The states of a session as values: what stands, what is undone, what has to go."""

from hypothesis import given
from hypothesis import strategies as st

from cellblock.host.timeline import (
    PACE,
    State,
    Timeline,
    Wish,
    in_order,
    too_large,
    too_many,
    wanted,
)


def line(*names: str | None) -> Timeline:
    """Executions e0, e1 …, each with the state of that name before it."""
    made = Timeline()
    for number, name in enumerate(names):
        made = made.ran(f"e{number}", f"c{number}", State(name, number) if name else None)
    return made


def test_an_undo_goes_before_the_last_step_and_a_redo_comes_back() -> None:
    before = line("a", "b")
    place = before.back()
    assert place == 1
    undone = before.gone_to(place, State("left", 9))
    assert (undone.at, undone.names, [step.execution_id for step in undone.undone()]) == (1, {"a", "left"}, ["e1"])
    assert undone.forth() == 2
    redone = undone.gone_to(2, State("again", 9))
    assert (redone.at, redone.names, redone.forth()) == (2, {"a", "again"}, None)
    assert redone.back() == 1


def test_without_a_state_before_the_last_step_an_undo_goes_to_the_nearest_one() -> None:
    assert line("a", None, None).back() == 0
    assert line(None, None).back() is None


def test_an_undo_to_a_step_needs_the_state_before_that_one() -> None:
    made = line("a", None, "c")
    assert [made.back(f"e{number}") for number in range(3)] == [0, None, 2]
    assert made.back("unknown") is None
    assert made.gone_to(0, State("left", 9)).back("e2") is None  # it is undone already


def test_what_runs_after_an_undo_takes_the_place_of_what_was_undone() -> None:
    undone = line("a", "b", "c").gone_to(1, State("left", 9))
    after = undone.ran("new", None, State("n", 9))
    assert [step.execution_id for step in after.steps] == ["e0", "new"]
    assert after.names == {"a", "n"}
    assert after.forth() is None


def test_a_kernel_that_fell_back_has_nothing_to_redo() -> None:
    fell = line("a", "b", "c").fell_back(2)
    assert (fell.at, fell.names, fell.forth()) == (2, {"a", "b"}, None)


def test_the_oldest_states_go_first_and_one_can_be_spared() -> None:
    made = line("a", "b", "c")
    assert too_many(made, most=2) == ["a"]
    assert too_many(made, most=1, spared={"a"}) == ["b", "c"]
    assert too_many(made, most=3) == []


def test_the_oldest_state_goes_when_all_are_too_large() -> None:
    made = line("a", "b", "c")
    assert too_large(made, limit=20, total=15) == []
    assert too_large(made, limit=10, total=15) == ["a"]
    assert too_large(line(), limit=10, total=15) == []


def test_states_know_what_they_weigh() -> None:
    made = line("a", "b").weighed({"a": 5}).gone_to(1, State("left", 9)).weighed({"left": 7})
    assert [(state.name, state.bytes) for state in made.states] == [("a", 5), ("left", 7)]


def test_snapshots_are_taken_by_wish_by_memory_and_by_pace() -> None:
    def auto(*, model: bool = False, blank: bool = False, used: int = 0, since: float = PACE) -> bool:
        return wanted(Wish("auto", model, blank, used, 100, since))

    assert wanted(Wish("always", False, True, 100, 100, 0.0))
    assert not wanted(Wish("never", True, False, 0, 100, 99.0))
    assert auto()
    assert not auto(blank=True)
    assert auto(blank=True, model=True)
    assert not auto(since=PACE / 2)
    assert not auto(used=51)
    assert auto(model=True, used=80, since=0.0)
    assert not auto(model=True, used=90)


def test_a_kernel_that_outlived_a_server_has_its_states_by_the_names_of_executions() -> None:
    made = in_order([("e0", "c0"), ("e1", "c1")], [State("e1", 1), State("left-x", 2)])
    assert (made.at, made.names, made.back("e1")) == (2, {"e1"}, 1)


@given(st.lists(st.sampled_from(["run", "run without", "undo", "redo"]), max_size=40))
def test_however_one_travels_the_kernel_is_where_the_line_says(moves: list[str]) -> None:
    """A model: each state is the list of executions it has seen; a revived one must be what the place says."""
    made, seen = Timeline(), list[str]()
    kept: dict[str, list[str]] = {}
    for number, move in enumerate(moves):
        if move.startswith("run"):
            state = State(f"s{number}", number) if move == "run" else None
            if state:
                kept[state.name] = list(seen)
            made = made.ran(f"e{number}", None, state)
            seen = [*seen, f"e{number}"]
        elif (place := made.back() if move == "undo" else made.forth()) is not None:
            target = made.state(place)
            assert target
            left = State(f"l{number}", number)
            kept[left.name] = seen
            seen = kept[target.name]
            made = made.gone_to(place, left)
        assert [step.execution_id for step in made.steps[: made.at]] == seen
        assert len(made.names) == len(made.states)
