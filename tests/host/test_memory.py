"""How much memory there is: as the machine says, or less where a cgroup allows less."""

from cellblock.host.memory import FRESH, KERNEL, Read, Room, available, free, kernels_that_fit, rooms

MEMINFO = "MemTotal:       24000000 kB\nMemFree: 1 kB\nMemAvailable:   1000 kB\n"


def reader(files: dict[str, str]) -> Read:
    return lambda path: files.get(path, "")


def test_the_machines_own_figure() -> None:
    assert available(MEMINFO) == 1_024_000
    assert available("") == 0


def test_a_version_2_group_with_a_limit() -> None:
    files = {
        "/sys/fs/cgroup/app/memory.max": "1000\n",
        "/sys/fs/cgroup/app/memory.current": "700\n",
        "/sys/fs/cgroup/app/memory.stat": "anon 1\ninactive_file 50\n",
    }
    assert rooms("0::/app\n", reader(files)) == [350]


def test_a_group_without_a_limit_says_nothing() -> None:
    assert rooms("0::/app\n", reader({"/sys/fs/cgroup/app/memory.max": "max\n"})) == []
    unlimited = {
        "/sys/fs/cgroup/memory/app/memory.limit_in_bytes": "9223372036854771712\n",
        "/sys/fs/cgroup/memory/app/memory.usage_in_bytes": "5\n",
    }
    assert rooms("4:cpu:/app\n3:memory:/app\n", reader(unlimited)) == []


def test_a_version_1_group_and_the_machine_together() -> None:
    files = {
        "/proc/meminfo": MEMINFO,
        "/proc/self/cgroup": "3:memory:/app\n",
        "/sys/fs/cgroup/memory/app/memory.limit_in_bytes": "100\n",
        "/sys/fs/cgroup/memory/app/memory.usage_in_bytes": "60\n",
    }
    assert free(reader(files)) == 40
    assert free() > 0


def test_kernels_fit_above_the_reserve_only() -> None:
    assert kernels_that_fit(reserve=KERNEL, free=3 * KERNEL) == 2
    assert kernels_that_fit(reserve=KERNEL, free=0) == 0


def test_kernels_that_are_being_started_count_as_if_they_had_their_memory() -> None:
    assert kernels_that_fit(reserve=KERNEL, free=5 * KERNEL, starting=3) == 1
    assert kernels_that_fit(reserve=KERNEL, free=5 * KERNEL, starting=9) == 0


def test_a_measurement_holds_for_a_while_and_kernels_it_has_not_seen_count_against_it() -> None:
    now, measured = [0.0], [5 * KERNEL]
    room = Room(KERNEL, lambda: measured[0], lambda: now[0])
    assert room.kernels() == 4
    with room.starting():
        assert room.kernels() == 3
    measured[0] = 3 * KERNEL
    assert room.kernels() == 3  # started, and not seen
    now[0] += FRESH
    assert room.kernels() == 2  # seen
    with room.starting():
        now[0] += FRESH
        assert room.kernels() == 1  # still without its memory
