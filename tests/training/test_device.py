import sys
from pathlib import Path

import pytest
import torch

from edgekd.errors import EdgekdError
from edgekd.training.device import choose_device, computes_bfloat16


def test_what_is_no_device_is_refused():
    with pytest.raises(EdgekdError, match="device must be auto, cpu or cuda, got 'tpu'"):
        choose_device("tpu")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/cpuinfo")
def test_a_cpu_learns_in_bfloat16_where_it_multiplies_it_itself():
    flags = Path("/proc/cpuinfo").read_text().split()
    expected = hasattr(torch.cpu, "get_capabilities") and ("avx512_bf16" in flags or "amx_bf16" in flags)
    assert computes_bfloat16(torch.device("cpu")) == expected


def test_an_older_torch_that_does_not_tell_learns_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not computes_bfloat16(torch.device("cpu"))
    assert computes_bfloat16(torch.device("cuda"))
