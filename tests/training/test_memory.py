import os
import sys

import pytest
import torch

from edgekd.training.memory import available_host_memory, available_memory

GB = 10**9


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel reports it on Linux alone")
def test_available_memory_is_below_all_and_above_what_is_free():
    page = os.sysconf("SC_PAGE_SIZE")
    # Others free and take some meanwhile.
    assert available_memory(torch.device("cpu")) > 0.8 * os.sysconf("SC_AVPHYS_PAGES") * page
    assert available_memory(torch.device("cpu")) < os.sysconf("SC_PHYS_PAGES") * page


@pytest.fixture
def machine(tmp_path):
    """Writes what a kernel reports: 8 GB available, and the files given."""

    def write(membership, files):
        (tmp_path / "proc" / "self").mkdir(parents=True)
        (tmp_path / "proc" / "meminfo").write_text("MemFree: 100000 kB\nMemAvailable: 7812500 kB\n")
        (tmp_path / "proc" / "self" / "cgroup").write_text(membership)
        for name, content in files.items():
            (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "cgroup" / name).write_text(content)
        return available_host_memory(tmp_path / "proc", tmp_path / "cgroup")

    return write


def test_without_a_limit_all_that_is_available_can_be_taken(machine):
    assert machine("0::/job\n", {"job/memory.max": "max\n", "job/memory.current": "5\n"}) == 8 * GB


def test_a_limit_of_the_group_above_holds_and_its_page_cache_gives_way(machine):
    files = {
        "job/memory.max": f"{4 * GB}\n",
        "job/memory.current": f"{3 * GB}\n",
        "job/memory.stat": f"anon 1\ninactive_file {GB // 2}\n",
        "job/step/memory.max": "max\n",
        "job/step/memory.current": "1\n",
    }
    assert machine("0::/job/step\n", files) == 3 * GB // 2


def test_in_a_container_the_limit_stands_at_the_top(machine):
    files = {"memory.max": f"{2 * GB}\n", "memory.current": f"{GB}\n"}
    assert machine("0::/host/only/path\n", files) == GB


def test_a_limit_of_the_first_version_holds_too(machine):
    membership = "5:devices:/\n4:cpu,memory:/job\n0::/\n"
    files = {
        "memory/job/memory.limit_in_bytes": f"{5 * GB}\n",
        "memory/job/memory.usage_in_bytes": f"{4 * GB}\n",
        "memory/job/memory.stat": f"inactive_file 7\ntotal_inactive_file {GB}\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.usage_in_bytes": f"{6 * GB}\n",
    }
    assert machine(membership, files) == 2 * GB


def test_more_used_than_allowed_leaves_nothing(machine):
    assert machine("0::/\n", {"memory.max": "5\n", "memory.current": "9\n"}) == 0


def test_where_nothing_is_reported_nothing_can_be_taken(tmp_path):
    assert available_host_memory(tmp_path, tmp_path) == 0
