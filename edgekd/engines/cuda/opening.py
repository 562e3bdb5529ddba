"""Finding a CUDA driver that answers."""

from __future__ import annotations

import importlib.util

from edgekd.engines.cuda.driver import Driver
from edgekd.errors import MachineError

PACKAGES = {"cuda-bindings": "cuda.bindings", "pycuda": "pycuda"}  # The first has graphs.


def open_driver(index: int = 0) -> Driver:
    """The driver of a GPU, by cuda-bindings where that is installed, else by pycuda.

    Args:
        index: Of the GPU, as CUDA counts them; see `edgekd.engines.devices.parse_device`.

    Raises:
        MachineError: Neither is installed, no GPU answers, or there is none of this index.
    """
    package = next((name for name, module in PACKAGES.items() if _is_installed(module)), None)
    if package is None:
        raise MachineError("no Python package for CUDA is installed: pip install cuda-bindings (or pycuda)")
    if package == "cuda-bindings":
        from edgekd.engines.cuda.bindings import BindingsDriver

        return BindingsDriver(index)
    from edgekd.engines.cuda.pycuda import PycudaDriver

    return PycudaDriver(index)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # Of the package that it is in.
        return False
