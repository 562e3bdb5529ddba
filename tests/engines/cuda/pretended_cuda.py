"""The two Python packages for CUDA with as much as is called, for a machine without a GPU.

Both keep what they were asked in `calls`. `cuda.bindings` answers with a status and a value, as the real one.
"""

import ctypes
import enum
from types import SimpleNamespace

import numpy as np


class CUresult(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_NOT_SUPPORTED = 801


class Handle:
    """A handle as cuda-bindings has them: `getPtr` tells where it is held."""

    def __init__(self, value):
        self._held = ctypes.c_void_p(value)

    def getPtr(self):  # noqa: N802
        return ctypes.addressof(self._held)

    def __int__(self):
        raise DeprecationWarning("int() of a handle")


class PretendedBindings:
    """cuda.bindings.driver.

    Args:
        gpus: How many there are.
        attributes: Of each GPU, by the last words of their names.
        lacks: Functions that the driver's library does not have.
        fails: The status of functions that fail.
    """

    CUresult = CUresult
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=1)
    CUevent_flags = SimpleNamespace(CU_EVENT_DEFAULT=0, CU_EVENT_BLOCKING_SYNC=1)
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1)
    CUdevice_attribute = SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR="major",
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR="minor",
        CU_DEVICE_ATTRIBUTE_INTEGRATED="integrated",
        CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED="locks",
    )

    def __init__(self, gpus=1, attributes=None, lacks=(), fails=None):
        self.gpus, self.lacks, self.fails = gpus, lacks, fails or {}
        self.attributes = {"major": 8, "minor": 9, "integrated": 0, "locks": 1, **(attributes or {})}
        self.calls = []

    def __getattr__(self, name):
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments):
            if name in self.lacks:
                raise RuntimeError(f'Function "{name}" not found')
            self.calls.append((name, *arguments))
            if name in self.fails:
                return (self.fails[name], None)
            answer = getattr(self, f"_{name}", lambda *_: None)(*arguments)
            return (CUresult.CUDA_SUCCESS,) if answer is None else (CUresult.CUDA_SUCCESS, answer)

        return call

    def _cuDeviceGetCount(self):  # noqa: N802
        return self.gpus

    def _cuDeviceGet(self, index):  # noqa: N802
        return f"device {index}"

    def _cuDevicePrimaryCtxRetain(self, device):  # noqa: N802
        return f"context of {device}"

    def _cuDeviceGetAttribute(self, name, device):  # noqa: N802
        return self.attributes[name]

    def _cuDeviceGetName(self, length, device):  # noqa: N802
        return b"A GPU\0\0\0"

    def _cuDeviceGetUuid(self, device):  # noqa: N802
        return SimpleNamespace(bytes=bytes(range(0, 256, 17)))

    def _cuDriverGetVersion(self):  # noqa: N802
        return 13000

    def _cuDeviceTotalMem(self, device):  # noqa: N802
        return 1 << 33

    def _cuMemAlloc(self, size):  # noqa: N802
        return 4096

    def _cuStreamCreate(self, flags):  # noqa: N802
        return Handle(123456)

    def _cuEventCreate(self, flags):  # noqa: N802
        return f"event {flags}"

    def _cuMemHostAlloc(self, size, flags):  # noqa: N802
        raise AssertionError("memory of CUDA's own goes when the driver is closed, whoever still views it")


class PretendedPycuda:
    """pycuda.driver, and the driver's library that it loads.

    Args:
        gpus: How many there are.
        integrated: Whether they share the processor's memory.
        locking: The status of page-locking.
    """

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    device_attribute = SimpleNamespace(INTEGRATED="integrated")
    event_flags = SimpleNamespace(BLOCKING_SYNC=1)

    def __init__(self, gpus=1, integrated=False, locking=0):
        self.calls = []
        outer = self

        def asked(name, answer=None):
            def call(*arguments):
                arguments = [getattr(argument, "value", argument) for argument in arguments]
                outer.calls.append((name, *arguments))
                return answer

            return call

        class Device:
            count = staticmethod(lambda: gpus)

            def __init__(self, index):
                outer.calls.append(("Device", index))
                self.name, self.total_memory = (lambda: "A GPU"), (lambda: 1 << 33)
                self.compute_capability, self.get_attribute = (lambda: (8, 7)), (lambda name: int(integrated))
                context = SimpleNamespace(push=asked("push"), detach=asked("detach"))
                self.retain_primary_context = lambda: context

        self.init = self.get_driver_version = lambda: 12060
        self.Device = Device
        self.Stream = asked("Stream", SimpleNamespace(handle=123456, synchronize=asked("synchronize")))
        self.Event = asked("Event", SimpleNamespace())
        self.library = SimpleNamespace(
            cuMemHostRegister_v2=asked("register", locking), cuMemHostUnregister=asked("unregister", 0)
        )

    def pagelocked_empty(self, shape, dtype):
        raise AssertionError("memory of CUDA's own goes when the driver is closed, whoever still views it")

    def mem_alloc(self, size):
        raise self.MemoryError("cuMemAlloc failed: out of memory")

    def memcpy_htod_async(self, address, host, stream):
        assert isinstance(host, np.ndarray)
