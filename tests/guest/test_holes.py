"""Memory that forks share: after the filling, new objects lie together."""

from cellblock.guest import holes


def pools(objects: list[object]) -> int:
    return len({id(each) // holes.POOL for each in objects})


def test_after_the_filling_new_objects_lie_together() -> None:
    scattered = [bytes(67) for _ in range(20_000)]
    del scattered[::8]
    with_holes = [bytes(67) for _ in range(1000)]
    kept = holes.fill()
    together = [bytes(67) for _ in range(1000)]
    assert pools(with_holes) > 2 * pools(together)
    assert kept


def test_the_filling_takes_places_that_were_free_and_no_more_than_a_bound() -> None:
    for size in (16, 32, 48, 512):
        assert len(holes._filling(size)) <= holes._ENOUGH + holes.POOL // size
