"""Limits: which hierarchy is chosen, what is written to it, and what holds where there is none."""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from cellblock.guest import limits, linux
from cellblock.guest.limits import Groups, Hierarchy
from cellblock.messages import Policy

V1_MOUNTS = """\
30 25 0:26 / /sys/fs/cgroup/memory rw,nosuid - cgroup none rw,memory
31 25 0:27 / /sys/fs/cgroup/pids rw,nosuid - cgroup none rw,pids
32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup none rw,cpu,cpuacct
33 25 0:29 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 none rw
"""
V2_MOUNTS = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
CONTROLLERS = "cpuset cpu io memory pids"


def test_version_1_is_chosen_where_the_controllers_are_there() -> None:
    own = "8:pids:/\n4:memory:/some/group\n2:cpu,cpuacct:/\n0::/\n"
    chosen = limits.choose(own, V1_MOUNTS, "")
    assert chosen == Hierarchy(
        1,
        {
            "memory": "/sys/fs/cgroup/memory/some/group",
            "pids": "/sys/fs/cgroup/pids",
            "cpu": "/sys/fs/cgroup/cpu,cpuacct",
            "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        },
    )


def test_version_2_is_chosen_with_its_controllers() -> None:
    chosen = limits.choose("0::/user.slice/user-1000.slice/run-1.scope\n", V2_MOUNTS, CONTROLLERS)
    assert chosen == Hierarchy(2, {"all": "/sys/fs/cgroup/user.slice/user-1000.slice/run-1.scope"})


def test_in_a_container_a_path_is_below_the_root_of_the_mount() -> None:
    mounts = V2_MOUNTS.replace(" / /sys", " /docker/abc /sys")
    assert limits.choose("0::/docker/abc/inner\n", mounts, CONTROLLERS) == Hierarchy(2, {"all": "/sys/fs/cgroup/inner"})


@pytest.mark.parametrize("controllers", ["", "cpu io", "memory"])
def test_without_memory_and_pids_there_is_no_hierarchy(controllers: str) -> None:
    assert limits.choose("0::/\n", V2_MOUNTS, controllers) is None
    assert limits.choose("4:memory:/\n", V1_MOUNTS, "") is None
    assert limits.choose("", "", "") is None


def test_a_user_slice_without_the_cpu_controller_limits_memory_and_processes_all_the_same() -> None:
    """As systemd delegates them to a user by default."""
    files = [file for _, file, _ in limits.settings(2, Policy("full"), {"memory", "pids"})]
    assert files == ["memory.max", "pids.max"]


def test_both_versions_limit_memory_processes_and_processors() -> None:
    policy = Policy("full", memory=1 << 30, processes=64, cpus=1.5)
    assert limits.settings(1, policy) == [
        ("memory", "memory.limit_in_bytes", "1073741824"),
        ("pids", "pids.max", "64"),
        ("cpu", "cpu.cfs_period_us", "100000"),
        ("cpu", "cpu.cfs_quota_us", "150000"),
    ]
    assert limits.settings(2, policy) == [
        ("all", "memory.max", "1073741824"),
        ("all", "pids.max", "64"),
        ("all", "cpu.max", "150000 100000"),
    ]


def test_a_group_never_kills_as_a_whole() -> None:
    for version in (1, 2):
        assert not any("oom" in file for _, file, _ in limits.settings(version, Policy("full")))


class DirectoryGroups(Groups):
    """A plain directory that plays the cgroup file system: a new group has its files, and rmdir takes them with it."""

    FILES = ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs")

    def create(self, name: str) -> None:
        super().create(name)
        for file in self.FILES:
            (self.directory / name / file).touch()
        (self.directory / name / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
        (self.directory / name / "memory.peak").write_text("12345\n")

    def remove(self, name: str) -> None:
        for file in (self.directory / name).iterdir():
            file.unlink()
        super().remove(name)

    @property
    def directory(self) -> Path:
        return Path(self.paths["all"])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A delegated group, with the files that the kernel would have put there."""
    for place in (tmp_path, tmp_path / limits.PARENT):
        place.mkdir(exist_ok=True)
        (place / "cgroup.controllers").write_text(CONTROLLERS)
        (place / "cgroup.subtree_control").touch()
        (place / "cgroup.procs").touch()
    return tmp_path


def test_the_writer_of_version_2_makes_limits_reads_and_removes(tree: Path) -> None:
    groups = DirectoryGroups(Hierarchy(2, {"all": str(tree)}))
    assert (tree / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    groups.create("one")
    groups.limit("one", Policy("full", memory=5_000_000, processes=7, cpus=0.5))
    groups.join("one", 0)
    written = {file: (groups.directory / "one" / file).read_text() for file in DirectoryGroups.FILES}
    assert written == {
        "memory.max": "5000000",
        "memory.swap.max": "0",
        "pids.max": "7",
        "cpu.max": "50000 100000",
        "cgroup.procs": "0",
    }
    assert (groups.oom_kills("one"), groups.memory_peak("one")) == (1, 12345)
    groups.remove("one")
    assert not (groups.directory / "one").exists()


def test_a_stale_group_is_swept_and_a_young_one_is_left(tmp_path: Path) -> None:
    for name, age in (("stale", 1000), ("young", 0)):
        (tmp_path / name).mkdir()
        changed = (tmp_path / name).stat().st_mtime - age
        os.utime(tmp_path / name, (changed, changed))
    (tmp_path / "in-use").mkdir()
    (tmp_path / "in-use" / "process").touch()
    top = os.open(tmp_path, os.O_RDONLY)
    limits.sweep(top, older=60)
    os.close(top)
    assert sorted(os.listdir(tmp_path)) == ["in-use", "young"]


def test_names_of_groups_do_not_come_from_a_pid(tree: Path) -> None:
    one, other = (DirectoryGroups(Hierarchy(2, {"all": str(tree)})) for _ in range(2))
    assert one.token != other.token
    assert str(os.getpid()) not in (one.token, other.token)


def test_the_address_space_is_never_limited_and_data_only_without_a_group() -> None:
    policy = Policy("full", memory=100, processes=10)
    grouped = limits.rlimits(policy, tasks_before=5, data_before=None)
    alone = limits.rlimits(policy, tasks_before=5, data_before=50)
    assert not {"AS", "DATA"} & grouped.keys()
    assert alone["DATA"] == 150
    assert grouped["NPROC"] == 15
    assert grouped["CORE"] == 1
    assert (grouped["RTPRIO"], grouped["NICE"]) == (0, 0)


def test_a_watchdog_counts_what_only_these_processes_hold() -> None:
    held = limits.held_memory(os.getpid())
    assert held > 1 << 20
    assert limits.Watchdog(limit=1 << 10).exceeded([os.getpid()])
    assert not limits.Watchdog(limit=held * 10).exceeded([os.getpid()])
    assert not limits.Watchdog(limit=1 << 10).exceeded([])


def test_a_table_in_proc_longer_than_a_page_is_read_to_its_end() -> None:
    with open("/proc/self/smaps", "rb") as table:
        whole = table.read().count(b"VmFlags:")
    assert linux.read("/proc/self/smaps").count("VmFlags:") >= whole - 2  # a mapping may merge with another meanwhile
    assert len(linux.read("/proc/self/smaps")) > 1 << 12


def test_a_watchdog_counts_files_in_memory_and_shared_segments() -> None:
    file = os.memfd_create("aside")
    os.write(file, bytes(8 << 20))
    assert limits.files_in_memory([os.getpid()]) >= 8 << 20
    held = limits.held_memory(os.getpid())
    assert limits.Watchdog(limit=held + (4 << 20)).exceeded([os.getpid()])
    os.close(file)
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    before = limits.segments()
    segment = libc.shmget(0, ctypes.c_size_t(8 << 20), 0o600)
    ctypes.memset(libc.shmat(segment, None, 0), 1, 8 << 20)
    try:
        assert limits.segments() - before >= 8 << 20
    finally:
        libc.shmctl(segment, 0, None)


def test_descendants_are_children_and_theirs() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout
        sleeper = int(shell.stdout.readline())
        assert limits.descendants(os.getpid()) >= {shell.pid, sleeper}
        assert limits.descendants(shell.pid) == {sleeper}
        os.kill(sleeper, 9)
