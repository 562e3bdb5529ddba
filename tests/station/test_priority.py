"""Processes that serve people compute only while verdicts leave the processor idle."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from edgekd.station.priority import compute_when_idle
compute_when_idle()
print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0))
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no such policy")
def test_a_process_that_computes_when_idle_has_the_least_priority_and_the_idle_policy() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["19", str(os.SCHED_IDLE)]
