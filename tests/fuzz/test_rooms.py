"""The pure rooms keep what they promise, whatever a kernel says. `python tests/fuzz/atheris_room.py ROOM` looks longer."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import ROOMS
from words import Words

HARNESS = Path(__file__).with_name("atheris_room.py")
RUNS = 20_000
BYTES = st.binary(max_size=200) | st.binary(min_size=200, max_size=2000)


@pytest.mark.parametrize("room", ROOMS)
@settings(max_examples=100)
@given(data=BYTES)
def test_a_room_keeps_its_promises(room: str, data: bytes) -> None:
    ROOMS[room](Words(data))


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
@settings(max_examples=2000)
@given(data=BYTES)
def test_a_room_keeps_its_promises_for_long(room: str, data: bytes) -> None:
    ROOMS[room](Words(data))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this interpreter")
@pytest.mark.parametrize("room", ROOMS)
def test_a_room_keeps_its_promises_where_coverage_leads(room: str, tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for seed in range(20):
        (seeds / str(seed)).write_bytes(random.Random(seed).randbytes(100 * seed))
    bounds = [f"-runs={RUNS}", "-max_len=4096", "-len_control=0", "-timeout=20", "-rss_limit_mb=1024"]
    command = [sys.executable, str(HARNESS), room, str(seeds), "-seed=1", "-max_total_time=30", *bounds]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)
    assert found.returncode == 0, (found.stdout + found.stderr)[-4000:]
    assert "Done" in found.stderr
