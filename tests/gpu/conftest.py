"""Everything that tests/gpu needs, so that it runs alone, where the other tests' packages are not installed:

PYTHONPATH=. pytest -p no:cacheprovider --rootdir tests/gpu --confcutdir tests/gpu tests/gpu -m gpu
"""

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent
# For the helpers beside this file, and for what the tests share with the script for a GPU.
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1] / "benchmarks" / "gpu")]

from edgekd.engines.cuda import open_driver  # noqa: E402
from edgekd.engines.cuda.bindings import BindingsDriver  # noqa: E402
from edgekd.engines.cuda.pycuda import PycudaDriver  # noqa: E402
from edgekd.errors import MachineError  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a CUDA device")


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """What edgekd remembers and keeps on this machine goes to a folder of the tests' own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKD_CACHE", str(folder))
        patch.setenv("EDGEKD_TEACHERS", str(folder / "teachers"))
        yield folder


@pytest.fixture(params=[BindingsDriver, PycudaDriver])
def driver(request):
    """Each package's driver of the first GPU."""
    try:
        driver = request.param()
    except (MachineError, ModuleNotFoundError) as error:
        pytest.skip(str(error))
    yield driver
    driver.close()


@pytest.fixture
def opened_driver(torch_cuda):
    """The driver that an engine would take, of the first GPU; torch computes there too."""
    try:
        driver = open_driver()
    except MachineError as error:
        pytest.skip(str(error))
    yield driver
    torch_cuda.cuda.synchronize()
    driver.close()


@pytest.fixture(scope="session")
def gpu():
    """The first GPU."""
    try:
        driver = open_driver()
    except MachineError as error:
        pytest.skip(str(error))
    device = driver.device
    driver.close()
    return device


@pytest.fixture(scope="session")
def torch_cuda():
    """Torch, with a GPU that it has begun to use."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    torch.cuda.init()
    torch.zeros(1, device="cuda").add_(1)
    torch.cuda.synchronize()
    return torch


@pytest.fixture(scope="session")
def reference():
    """Frames, and what the six systems answer to them on the CPU."""
    with np.load(FOLDER / "reference.npz") as content:
        return dict(content)
