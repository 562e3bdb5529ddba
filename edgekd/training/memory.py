"""Memory: how much of it can be taken, and keeping what a CPU training loop frees thousands of times a minute."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # glibc, malloc.h


def available_memory(device: torch.device) -> int:
    """Bytes that can be taken where a device computes; 0 where the operating system does not report them.

    On a CPU these are the bytes that are free or held by caches that give way, and no more than the process's control
    group still allows. On a GPU they are what is free.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_host_memory()


def available_host_memory(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of main memory that can be taken; 0 where they are unknown.

    Args:
        proc: Where the kernel reports on memory and on this process (Linux).
        cgroups: Where control groups are mounted, of either version.
    """
    machine = _numbers(proc / "meminfo").get("MemAvailable:", 0) * 1024
    return max(0, min([machine, *_left_in_groups(proc / "self" / "cgroup", cgroups)]))


def _left_in_groups(membership: Path, cgroups: Path) -> list[int]:
    """Bytes that each control group over this process still allows; only of groups that have a limit."""
    left = []
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mounted = cgroups / "memory" if controllers else cgroups
        names = ("limit_in_bytes", "usage_in_bytes", "total_") if controllers else ("max", "current", "")
        limit, usage, prefix = names
        group = mounted / path.lstrip("/")
        # A limit of any group above holds too. Inside a container the path can be that of the host and lead nowhere.
        for folder in (group, *group.parents):
            most, used = _text(folder / f"memory.{limit}").strip(), _text(folder / f"memory.{usage}").strip()
            if most.isdigit() and used.isdigit():
                gives_way = _numbers(folder / "memory.stat").get(f"{prefix}inactive_file", 0)
                left.append(int(most) - int(used) + gives_way)
            if folder == mounted:
                break
    return left


def _numbers(path: Path) -> dict[str, int]:
    """The first number on each line of a file, by the word before it."""
    words = (line.split() for line in _text(path).splitlines())
    return {entry[0]: int(entry[1]) for entry in words if len(entry) > 1 and entry[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def keep_freed_memory() -> None:
    """Makes glibc keep large freed blocks instead of unmapping them.

    By default every feature map of tens of megabytes is mapped, faulted in page by page and unmapped again; kept
    blocks make a PDN training step on the CPU about a quarter faster. Elsewhere than on glibc nothing happens.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 256 << 20)
