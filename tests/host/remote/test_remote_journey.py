"""Which files travel: two directories that become the same, and what is kept when both have changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cellblock.host.remote.journey import There, to_fetch, to_send
from cellblock.host.remote.record import Known, Record, load
from cellblock.host.workspace import Stamp

paths = st.sampled_from(["a", "b", "c/d"])
edits = st.lists(st.tuples(st.sampled_from(["here", "there"]), paths, st.booleans()), max_size=12)


@dataclass
class Pair:
    """A workspace and a kernel's directory; a file is a number that no other state of any file has."""

    here: dict[str, int] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    count: int = 0

    def edit(self, side: str, path: str, write: bool) -> None:
        files: dict[str, int] = getattr(self, side)
        self.count += 1
        if write:
            files[path] = self.count
        else:
            files.pop(path, None)

    def send(self) -> None:
        plan = to_send(self.known, stamps(self.here))
        for path in plan.remove:
            self.there.pop(path, None)
            del self.known[path]
        for path in plan.copy:
            self.there[path] = self.here[path]
            self._same(path)

    def fetch(self) -> list[str]:
        plan = to_fetch(self.known, stamps(self.here), {path: There(1, str(n)) for path, n in self.there.items()})
        for path in plan.remove:
            del self.here[path]
            del self.known[path]
        for path in plan.copy:
            self.here[path] = self.there[path]
            self._same(path)
        return plan.kept

    def _same(self, path: str) -> None:
        self.known[path] = Known(Stamp(self.here[path], 1, 1), str(self.there[path]))


def stamps(files: Mapping[str, int]) -> dict[str, Stamp]:
    return {path: Stamp(number, 1, 1) for path, number in files.items()}


@given(edits)
def test_after_an_execution_both_sides_are_the_same_but_for_what_was_kept(made: list[tuple[str, str, bool]]) -> None:
    pair = Pair()
    for edit in made:
        pair.edit(*edit)
    pair.send()
    assert pair.here.items() <= pair.there.items()
    pair.fetch()
    assert pair.here == pair.there


@given(edits, edits)
def test_what_changed_here_meanwhile_stays_and_goes_there_the_next_time(
    before: list[tuple[str, str, bool]], during: list[tuple[str, str, bool]]
) -> None:
    pair = Pair()
    for edit in before:
        pair.edit(*edit)
    pair.send()
    pair.fetch()
    agreed = dict(pair.here)
    for edit in during:
        pair.edit(*edit)
    mine = {path: pair.here.get(path) for path in ("a", "b", "c/d") if pair.here.get(path) != agreed.get(path)}
    kept = pair.fetch()
    assert {path: pair.here.get(path) for path in mine} == mine
    assert set(kept) <= mine.keys()
    pair.send()
    pair.fetch()
    assert pair.here == pair.there
    assert {path: pair.here.get(path) for path in mine} == mine


def test_a_record_survives_and_a_broken_one_is_none(tmp_path: Path) -> None:
    record = Record("http://x", "k", "s", "python", "3.11", "kernel", "/tmp/c", known={"a": Known(Stamp(1, 2, 3), "m")})
    record.save(tmp_path)
    assert load(tmp_path) == record
    for broken in ("", "[]", "{}", '{"known": {}}', '{"known": {"a": []}}', '{"known": 3}'):
        (tmp_path / "remote.json").write_text(broken)
        assert load(tmp_path) is None
