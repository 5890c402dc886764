"""The pure rooms keep what they promise, whatever a kernel says. `python tests/fuzz/atheris_room.py ROOM` looks longer."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rooms import ROOMS
from words import Words

HARNESS = Path(__file__).with_name("atheris_room.py")
RUNS = 20_000


@pytest.mark.parametrize("room", ROOMS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=1500))
def test_a_room_keeps_its_promises(room: str, data: bytes) -> None:
    ROOMS[room](Words(data))


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=4000))
def test_a_room_keeps_its_promises_for_long(room: str, data: bytes) -> None:
    ROOMS[room](Words(data))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this interpreter")
@pytest.mark.parametrize("room", ROOMS)
def test_a_room_keeps_its_promises_where_coverage_leads(room: str, tmp_path: Path) -> None:
    bounds = [f"-runs={RUNS}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-max_total_time=40"]
    command = [sys.executable, str(HARNESS), room, *bounds]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False)
    assert found.returncode == 0, (found.stdout + found.stderr)[-4000:]
    assert "Done" in found.stderr
