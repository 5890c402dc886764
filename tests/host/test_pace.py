"""What one kernel may take of the server's time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.host.pace import Pace

steps = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.05)), max_size=200)


@given(steps)
def test_over_any_time_it_takes_its_burst_its_share_and_one_piece_of_work_at_most(
    pieces: list[tuple[float, float]],
) -> None:
    pace, now, worked, largest = Pace(), 0.0, 0.0, 0.0
    for idle, work in pieces:
        now += idle
        rest = pace.spent(now, now + work)
        worked, largest = worked + work, max(largest, work)
        now += work + rest
        assert worked <= pace.burst + pace.share * now + largest + 1e-9


def test_a_little_now_and_then_never_rests() -> None:
    pace = Pace()
    assert all(pace.spent(at, at + 0.001) == 0 for at in range(1000))


def test_a_flood_rests_as_long_as_leaves_it_its_share() -> None:
    pace, now = Pace(burst=0.1, share=0.25), 0.0
    for _ in range(1000):
        now += 0.001 + pace.spent(now, now + 0.001)
    assert now == pytest.approx(4 - 0.4, rel=0.01)
