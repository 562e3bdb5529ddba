"""Faults of the device, in child processes: no hang, one clear error."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu
SCRIPT = Path(__file__).with_name("gpu_faults.py")
SECONDS = 90


@pytest.fixture
def what_happens(gpu, torch_cuda, record_property):
    """Runs a fault and returns what its process saw."""

    def run(kind):
        done = subprocess.run([sys.executable, SCRIPT, kind], capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stderr[-1000:]
        seen = json.loads(done.stdout.splitlines()[-1])
        for name, value in seen.items():
            record_property(name, value)
        return seen

    return run


def one_line_of_cuda(error):
    kind, text = error
    return kind == "CudaError" and "\n" not in text and len(text) > 10


def test_a_kernel_that_faults_is_one_clear_error_and_later_batches_are_refused(what_happens):
    seen = what_happens("fault")
    assert seen["errors"]
    assert all(one_line_of_cuda(error) for error in seen["errors"])
    assert seen["broken"]
    assert len(seen["after"]) == 1
    assert one_line_of_cuda(seen["after"][0])
    assert seen["close_s"] < 30


def test_a_device_whose_memory_is_used_up_says_so_and_serves_again_once_it_is_back(what_happens):
    seen = what_happens("memory")
    assert len(seen["errors"]) == 1
    assert one_line_of_cuda(seen["errors"][0])
    assert "memory" in seen["errors"][0][1].lower()
    assert seen["right_afterwards"]


def test_closing_with_batches_under_way_neither_hangs_nor_harms(what_happens):
    seen = what_happens("close")
    assert seen["seconds"] < 30
    assert seen["right_afterwards"]
