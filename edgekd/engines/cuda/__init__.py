"""The CUDA driver, as much of it as an engine needs: memory, streams, events, copies, graphs."""

from edgekd.engines.cuda.driver import CudaError, Device, Driver
from edgekd.engines.cuda.opening import open_driver

__all__ = ["CudaError", "Device", "Driver", "open_driver"]
