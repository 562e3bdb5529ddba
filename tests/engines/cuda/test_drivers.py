"""The two drivers as far as they go without a GPU."""

import ast
import ctypes.util
from pathlib import Path

import numpy as np
import pytest

import edgekd.engines.cuda.bindings as bindings
import edgekd.engines.cuda.opening as opening
from edgekd.engines.cuda import open_driver
from edgekd.engines.cuda.driver import bytes_of, version_text, view_of
from edgekd.errors import MachineError

has_driver = ctypes.util.find_library("cuda") is not None
without_a_driver = pytest.mark.skipif(has_driver, reason="this machine has an NVIDIA driver")


def called_functions():
    """The names of the driver's functions that the implementation calls."""
    tree = ast.parse(Path(bindings.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return {
        call.args[0].value for call in calls if call.func.attr == "_call" and isinstance(call.args[0], ast.Constant)
    }


def test_every_function_that_is_called_is_in_cuda_bindings():
    driver = pytest.importorskip("cuda.bindings.driver")
    names = called_functions()
    assert {"cuInit", "cuMemcpyHtoDAsync", "cuGraphLaunch"} <= names
    assert {name for name in names if not hasattr(driver, name)} == set()


def test_every_constant_that_is_named_is_in_cuda_bindings():
    driver = pytest.importorskip("cuda.bindings.driver")
    tree = ast.parse(Path(bindings.__file__).read_text())
    constants = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith(("CU_", "CUDA_"))
    ]
    owners = {"attribute": driver.CUdevice_attribute}
    for node in constants:
        owner = node.value
        group = owners[owner.id] if isinstance(owner, ast.Name) else getattr(driver, owner.attr)
        assert hasattr(group, node.attr), node.attr
    assert len(constants) >= 6


@without_a_driver
def test_without_an_nvidia_driver_there_is_one_line():
    pytest.importorskip("cuda.bindings.driver")
    with pytest.raises(MachineError, match=r"^this machine has no NVIDIA driver$"):
        bindings.BindingsDriver()
    with pytest.raises(MachineError, match="no NVIDIA driver"):
        open_driver()


@without_a_driver
def test_pycuda_without_a_driver_is_one_line():
    from edgekd.engines.cuda.pycuda import PycudaDriver

    with pytest.raises(MachineError, match=r"^no NVIDIA GPU answers \("):
        PycudaDriver()


def test_without_a_package_both_are_named(monkeypatch):
    monkeypatch.setattr(opening, "PACKAGES", {"cuda-bindings": "no_such.module", "pycuda": "no_such_module"})
    with pytest.raises(MachineError, match=r"pip install cuda-bindings \(or pycuda\)"):
        open_driver()


def test_cuda_versions_are_written_as_people_do():
    assert [version_text(number) for number in (12060, 12090, 13000)] == ["12.6", "12.9", "13.0"]


def test_only_memory_in_one_piece_is_copied():
    block = np.zeros((4, 6), np.float32)
    assert bytes_of(block[:2]) == 48
    with pytest.raises(ValueError, match="in one piece"):
        bytes_of(block[:, :2])


def test_a_view_shares_the_memory_it_is_of():
    block = bytearray(24)
    view = view_of(block, (2, 3), np.float32)
    view[1, 2] = 1
    assert bytes(block[20:]) == np.float32(1).tobytes()
