"""The two drivers without a GPU: what they ask of their package, and what they make of its answers."""

import ast
import ctypes.util
import mmap
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import edgekd.engines.cuda.bindings as bindings
import edgekd.engines.cuda.driver as driver_module
import edgekd.engines.cuda.opening as opening
import edgekd.engines.cuda.pycuda as pycuda_module
from edgekd.engines.cuda import CudaError, CudaMemoryError, NoSuchGpuError, open_driver
from edgekd.engines.cuda.bindings import BindingsDriver
from edgekd.engines.cuda.driver import blocking_waits, bytes_of, version_text, view_of, whole_pages
from edgekd.engines.cuda.pycuda import PycudaDriver
from edgekd.errors import MachineError

from .pretended_cuda import CUresult, PretendedBindings, PretendedPycuda

has_driver = ctypes.util.find_library("cuda") is not None
without_a_driver = pytest.mark.skipif(has_driver, reason="this machine has an NVIDIA driver")


def called_functions():
    """The names of the driver's functions that the implementation calls."""
    tree = ast.parse(Path(bindings.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    named = {
        call.args[0].value for call in calls if call.func.attr == "_call" and isinstance(call.args[0], ast.Constant)
    }
    return named | {call.func.attr for call in calls if re.match("cu[A-Z]", call.func.attr)}


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
    owners = {"attribute": driver.CUdevice_attribute, "flags": driver.CUevent_flags, "results": driver.CUresult}
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


def test_page_locked_memory_is_whole_pages_of_its_own():
    for size in (0, 1, mmap.PAGESIZE, mmap.PAGESIZE + 1):
        block = whole_pages(size)
        assert block.ctypes.data % mmap.PAGESIZE == block.nbytes % mmap.PAGESIZE == 0
        assert size <= block.nbytes <= max(1, size) + mmap.PAGESIZE


def test_a_real_handle_is_read_without_what_is_deprecated():
    driver = pytest.importorskip("cuda.bindings.driver")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert BindingsDriver.address_of(None, driver.CUstream(0x7F00DEADBEE0)) == 0x7F00DEADBEE0
        assert BindingsDriver.address_of(None, driver.CUstream(0)) == 0


def test_waits_sleep_only_on_an_integrated_gpu_beside_few_cores(monkeypatch):
    answers = {}
    for cores in (2, 6, 7, 12):
        monkeypatch.setattr(driver_module, "usable_cores", lambda cores=cores: cores)
        answers[cores] = (blocking_waits(True), blocking_waits(False))
    assert answers == {2: (True, False), 6: (True, False), 7: (False, False), 12: (False, False)}


@pytest.fixture
def with_bindings(monkeypatch):
    """Opens a driver on what pretends to be cuda-bindings."""

    def open_on(pretended, index=0):
        package = ModuleType("cuda.bindings")
        package.driver = pretended
        monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
        monkeypatch.setitem(sys.modules, "cuda.bindings", package)
        return BindingsDriver(index)

    return open_on


@pytest.fixture
def with_pycuda(monkeypatch):
    """Opens a driver on what pretends to be pycuda."""

    def open_on(pretended, index=0):
        package = ModuleType("pycuda")
        package.driver = pretended
        monkeypatch.setitem(sys.modules, "pycuda", package)
        monkeypatch.setitem(sys.modules, "pycuda.driver", pretended)
        monkeypatch.setattr(pycuda_module, "driver_library", lambda: pretended.library)
        return PycudaDriver(index)

    return open_on


def test_the_gpu_of_an_index_is_opened_and_described(with_bindings):
    cuda = PretendedBindings(gpus=3)
    driver = with_bindings(cuda, 2)
    assert ("cuCtxSetCurrent", "context of device 2") in cuda.calls
    assert driver.device._asdict() == {
        "name": "A GPU",
        "capability": "8.9",
        "driver": "13.0",
        "memory": 1 << 33,
        "index": 2,
        "uuid": "GPU-00112233-4455-6677-8899-aabbccddeeff",
    }


def test_a_gpu_without_a_uuid_is_opened_all_the_same(with_bindings):
    fails = {"cuDeviceGetUuid": CUresult.CUDA_ERROR_NOT_SUPPORTED}
    assert with_bindings(PretendedBindings(fails=fails)).device.uuid == ""


@pytest.mark.parametrize(
    ("gpus", "index", "message"),
    [
        (1, 1, r"^there is no cuda:1: this machine has one GPU, cuda:0$"),
        (2, 5, r"^there is no cuda:5: this machine has 2 GPUs, cuda:0 to cuda:1$"),
        (2, -1, r"^there is no cuda:-1: this machine has 2 GPUs"),
    ],
)
def test_a_gpu_that_is_not_there_is_one_line_with_how_many_there_are(with_bindings, with_pycuda, gpus, index, message):
    with pytest.raises(NoSuchGpuError, match=message):
        with_bindings(PretendedBindings(gpus), index)
    with pytest.raises(NoSuchGpuError, match=message):
        with_pycuda(PretendedPycuda(gpus), index)


def test_no_gpu_at_all_is_one_line(with_bindings, with_pycuda):
    with pytest.raises(MachineError, match=r"^no NVIDIA GPU answers \(the driver finds none"):
        with_bindings(PretendedBindings(gpus=0))
    with pytest.raises(MachineError, match=r"^no NVIDIA GPU answers \(the driver finds none"):
        with_pycuda(PretendedPycuda(gpus=0))
    fails = {"cuInit": CUresult.CUDA_ERROR_NO_DEVICE}
    with pytest.raises(MachineError, match=r"^no NVIDIA GPU answers \(CUDA's cuInit failed: CUDA_ERROR_NO_DEVICE\)$"):
        with_bindings(PretendedBindings(fails=fails))


def test_a_function_that_an_old_driver_lacks_is_one_line_that_names_it(with_bindings):
    driver = with_bindings(PretendedBindings(lacks=("cuGraphLaunch",)))
    with pytest.raises(CudaError, match=r"^this NVIDIA driver has no cuGraphLaunch: update the NVIDIA driver$"):
        driver.launch("graph", driver.stream())


def test_a_lack_of_memory_is_told_apart(with_bindings, with_pycuda):
    fails = {"cuMemAlloc": CUresult.CUDA_ERROR_OUT_OF_MEMORY}
    with pytest.raises(CudaMemoryError, match=r"^CUDA's cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY$"):
        with_bindings(PretendedBindings(fails=fails)).allocate(1)
    with pytest.raises(CudaMemoryError, match=r"^CUDA: cuMemAlloc failed: out of memory$"):
        with_pycuda(PretendedPycuda()).allocate(1)
    with pytest.raises(CudaMemoryError, match=r"^CUDA's cuMemHostRegister_v2 failed: error 2$"):
        with_pycuda(PretendedPycuda(locking=2)).pinned((4,), np.uint8)


def test_streams_wait_for_no_other_and_are_told_by_their_handle(with_bindings, with_pycuda):
    bindings_package, pycuda_package = PretendedBindings(), PretendedPycuda()
    for driver in (with_bindings(bindings_package), with_pycuda(pycuda_package)):
        assert driver.address_of(driver.stream()) == 123456
    assert ("cuStreamCreate", 1) in bindings_package.calls
    assert ("Stream", 1) in pycuda_package.calls


@pytest.mark.parametrize(("integrated", "cores", "flags"), [(1, 6, 1), (1, 12, 0), (0, 2, 0)])
def test_events_block_where_the_host_should_sleep(with_bindings, with_pycuda, monkeypatch, integrated, cores, flags):
    monkeypatch.setattr(driver_module, "usable_cores", lambda: cores)
    bindings_driver = with_bindings(PretendedBindings(attributes={"integrated": integrated}))
    assert bindings_driver.event() == f"event {flags}"
    cuda = PretendedPycuda(integrated=bool(integrated))
    with_pycuda(cuda).event()
    assert ("Event", flags) in cuda.calls


@pytest.mark.parametrize("package", ["bindings", "pycuda"])
def test_page_locked_memory_is_the_processes_own_and_outlives_the_driver(with_bindings, with_pycuda, package):
    cuda = PretendedBindings() if package == "bindings" else PretendedPycuda()
    driver = with_bindings(cuda) if package == "bindings" else with_pycuda(cuda)
    host = driver.pinned((2, 3), np.float32)
    block = whole_pages(24)
    host[:] = 1.5
    view = host[1:]
    driver.close()
    names = ("cuMemHostRegister", "cuMemHostUnregister") if package == "bindings" else ("register", "unregister")
    locked = next(call for call in cuda.calls if call[0] == names[0])
    assert locked[1:3] == (host.ctypes.data, block.nbytes)
    assert (names[1], host.ctypes.data) in cuda.calls
    del host
    assert np.all(view == 1.5)


def test_a_gpu_that_locks_no_pages_says_so_once_and_goes_on(with_bindings, with_pycuda, caplog):
    for driver in (
        with_bindings(PretendedBindings(attributes={"locks": 0})),
        with_pycuda(PretendedPycuda(locking=801)),
    ):
        caplog.clear()
        assert driver.pinned((4,), np.uint8).shape == driver.pinned((4,), np.uint8).shape == (4,)
        assert [entry.getMessage() for entry in caplog.records] == [
            "A GPU cannot lock the pages of host memory: copies will not overlap with computing"
        ]
        driver.close()


def test_streams_are_drained_before_anything_is_given_back(with_bindings):
    cuda = PretendedBindings()
    driver = with_bindings(cuda)
    driver.stream()
    driver.allocate(8)
    driver.close()
    names = [call[0] for call in cuda.calls]
    assert names[-4:] == ["cuStreamSynchronize", "cuMemFree", "cuStreamDestroy", "cuDevicePrimaryCtxRelease"]
    driver.close()
    assert len(cuda.calls) == len(names)
