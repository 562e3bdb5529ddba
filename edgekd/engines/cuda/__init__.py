"""The CUDA driver, as much of it as an engine needs: memory, streams, events, copies, graphs."""

from edgekd.engines.cuda.driver import CudaError, CudaMemoryError, Device, Driver, NoSuchGpuError
from edgekd.engines.cuda.opening import open_driver

__all__ = ["CudaError", "CudaMemoryError", "Device", "Driver", "NoSuchGpuError", "open_driver"]
