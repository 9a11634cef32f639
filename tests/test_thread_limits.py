"""How many threads there are: limits of the system, of OpenMP and of control groups; threads that go away."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chainrule import _core
from support import fresh_interpreter as fresh
from support.programs import matmul
from support.variants import force_threads

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")


def os_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def work_within(free: int, what: str, user: int | None = None) -> None:
    """In a fresh process: work on 4 threads where `free` more can be started, as `what` limits them."""
    import resource

    import numpy as np

    import test_threads

    _core.set_num_threads(1)
    expected = test_threads.work()
    if what == "tasks":  # of a user that has no other processes
        assert user is not None
        os.setresuid(user, user, user)
        resource.setrlimit(resource.RLIMIT_NPROC, (os_threads() + free, os_threads() + free))
    else:  # stacks of 512 MiB: the address space takes `free` of them
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + free * (513 << 20) + (300 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = os_threads()
    force_threads(4)
    for _ in range(3):
        assert test_threads.work() == expected
    assert os_threads() - before == min(free, 3), os_threads() - before
    a = np.ones((64, 64), np.float32)
    assert (matmul(a, a) == 64).all()


# The stacks of threads are as large as the limit is when a process starts.
STACKS = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_STACK, (512 << 20, resource.RLIM_INFINITY))
os.execv(sys.executable, [sys.executable, "-c", {code!r}])
"""


@linux
@pytest.mark.parametrize("free", range(5))
def test_threads_that_cannot_be_started_cost_speed_only(free: int) -> None:
    code = f"import test_thread_limits as t; t.work_within({free}, 'memory')"
    fresh.output(STACKS.format(code=code), MALLOC_ARENA_MAX="1", OPENBLAS_NUM_THREADS="1")


@linux
@pytest.mark.parametrize("free", range(5))
def test_users_may_have_few_tasks(free: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("changes its user")
    user = 61_000 + os.getpid() % 4000 + free
    fresh.output(f"import test_thread_limits as t; t.work_within({free}, 'tasks', {user})")


def lower(counts: tuple[int, ...]) -> None:
    """In a fresh process: as many threads as the last number, soon after it was set."""
    for count in counts:
        _core.set_num_threads(count)
        _core.set_min_parallel_work(0)
        assert _core.pool_meets(min(count, 200), 60.0)
        end = time.monotonic() + 10
        while os_threads() > count + EXTRA and time.monotonic() < end:
            time.sleep(0.01)
        assert os_threads() <= count + EXTRA
    import test_threads

    assert test_threads.work() == test_threads.work()


EXTRA = 1  # faulthandler or a library may have a thread


@linux
@pytest.mark.parametrize(
    "counts", [(2, 1), (3, 2), (8, 2), (200, 2), (200, 1, 3), (5, 4, 3, 2, 1), (2, 8, 2, 8, 2), (64, 2, 64, 2)]
)
def test_threads_above_a_lowered_count_go_away(counts: tuple[int, ...]) -> None:
    fresh.output(f"import test_thread_limits as t; t.lower({counts})")


@linux
def test_two_thousand_threads() -> None:
    code = """
import test_threads as t, test_thread_limits as l, time
from chainrule import _core
t.force_threads(2000); t.work()
t.force_threads(2); t.work()
end = time.monotonic() + 30
while l.os_threads() > 3 and time.monotonic() < end: time.sleep(0.05)
assert l.os_threads() <= 3, l.os_threads()
assert _core.pool_meets(2, 60.0)
"""
    fresh.output(code)


def threadpoolctl(count: int) -> None:
    """What threadpoolctl.threadpool_limits does."""
    import ctypes

    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libgomp" in line or "libomp" in line:
            ctypes.CDLL(line.split()[-1]).omp_set_num_threads(count)
            return
    raise AssertionError("no OpenMP runtime is loaded")


@linux
@pytest.mark.skipif(_core.openmp_runtime() == "none", reason="built without OpenMP")
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("", "U"),
        ("limit 1", "1"),
        ("set 3", "3"),
        ("set 3; limit 1", "1"),
        ("limit 1; set 3", "1"),
        ("set 3; limit 1; limit U", "3"),
        ("set 1; limit U", "1"),
        ("set 3; limit 1; set 4; limit U", "4"),
    ],
)
def test_threadpoolctl_limits_what_was_set(steps: str, expected: str) -> None:
    usual = len(os.sched_getaffinity(0))
    if usual < 2:
        pytest.skip("needs two CPUs")
    code = ["import chainrule as cr, test_thread_limits as t", f"U = {usual}"]
    for step in filter(None, steps.split("; ")):
        name, number = step.split()
        code.append(f"cr.set_num_threads({number})" if name == "set" else f"t.threadpoolctl({number})")
    found = fresh.output("\n".join([*code, "print(cr.get_num_threads())"]))
    assert found == expected.replace("U", str(usual))


@pytest.mark.skipif(_core.openmp_runtime() == "none", reason="built without OpenMP")
@pytest.mark.parametrize(
    ("environment", "set_to", "expected"),
    [
        ({"OMP_NUM_THREADS": "1"}, None, 1),
        ({"OMP_NUM_THREADS": "5"}, None, 5),
        ({"OMP_NUM_THREADS": "5"}, 3, 3),
        ({"OMP_NUM_THREADS": "1"}, 3, 3),
        ({"OMP_NUM_THREADS": "3,2"}, None, 3),
        ({"OMP_THREAD_LIMIT": "1"}, None, 1),
        ({"OMP_THREAD_LIMIT": "2"}, 5, 2),
        ({"OMP_THREAD_LIMIT": "4", "OMP_NUM_THREADS": "8"}, None, 4),
        ({"OMP_THREAD_LIMIT": "4", "OMP_NUM_THREADS": "8"}, 6, 4),
        ({"OMP_THREAD_LIMIT": "4", "OMP_NUM_THREADS": "8"}, 3, 3),
    ],
)
def test_settings_of_openmp(environment: dict[str, Any], set_to: int | None, expected: int) -> None:
    code = "import chainrule as cr\n" + (f"cr.set_num_threads({set_to})\n" if set_to else "")
    assert fresh.output(code + "print(cr.get_num_threads())", **environment) == str(expected)


@linux
@pytest.mark.skipif(_core.openmp_runtime() == "none", reason="built without OpenMP")
def test_places_of_openmp_hold_for_workers() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    code = """
import os
from chainrule import _core
assert _core.pool_meets(2, 60.0)
print(sorted(tuple(sorted(os.sched_getaffinity(int(t)))) for t in os.listdir("/proc/self/task")))
"""
    found = fresh.output(code, OMP_PROC_BIND="true", OMP_PLACES=f"{{{cpus[0]}}},{{{cpus[1]}}}")
    assert f"({cpus[1]},)" in found


QUOTAS = [
    ("0::/\n", {"cpu.max": "max 100000"}, 0),
    ("0::/\n", {"cpu.max": "200000 100000"}, 2),
    ("0::/\n", {"cpu.max": "150000 100000"}, 2),
    ("0::/\n", {"cpu.max": "1000 100000"}, 1),
    ("0::/\n", {}, 0),
    ("0::/\n", {"cpu.max": "nonsense"}, 0),
    ("0::/\n", {"cpu.max": ""}, 0),
    ("0::/\n", {"cpu.max": "0 0"}, 0),
    ("0::/a/b\n", {"a/b/cpu.max": "300000 100000"}, 3),
    ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
    ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "400000 100000"}, 3),
    ("0::/a/b\n", {"cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000"}, 1),
    ("0::/host/only\n", {"cpu.max": "200000 100000"}, 2),
    ("0::/../x\n", {"cpu.max": "200000 100000"}, 2),
    ("4:cpu,cpuacct:/\n", {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 3),
    ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 0),
    ("4:cpuacct,cpu:/d/1\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ("4:cpu:/d\n", {"cpu/d/cpu.cfs_quota_us": "200000", "cpu/d/cpu.cfs_period_us": "100000"}, 2),
    ("4:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 0),
    ("5:memory:/\n3:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ("", {"cpu.max": "100000 100000"}, 0),
    ("no colons\n\n", {"cpu.max": "100000 100000"}, 0),
]


@pytest.mark.parametrize(("groups", "files", "expected"), QUOTAS)
def test_quota_of_control_groups(groups: str, files: dict[str, str], expected: int, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert _core.cpu_quota(str(tmp_path)) == expected


def test_no_control_groups(tmp_path: Path) -> None:
    assert _core.cpu_quota(str(tmp_path)) == 0
