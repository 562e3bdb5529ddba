"""NVIDIA's management library, as far as edgekd asks it, over GPUs that are made up."""

# ruff: noqa: N802, the names are the library's.

from __future__ import annotations

from types import SimpleNamespace


class NVMLError(Exception):
    """The library's own."""


class PretendedNvml:
    """The module pynvml of a machine with these GPUs, in the order of the PCI bus.

    Args:
        gpus: Of each what it answers, by the name of the function, and its `uuid`; what is not there it refuses.
        slices: UUID of a slice (MIG) -> the place of its GPU.
        missing: Functions that this driver does not have.
    """

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2

    def __init__(self, gpus, slices=None, missing=()):
        self.gpus = gpus
        self.slices = slices or {}
        self.missing = missing
        self.asked = []
        self.open = 0

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlSystemGetDriverVersion(self):
        return "580.65.06"

    def nvmlSystemGetCudaDriverVersion(self):
        return 13000

    def nvmlDeviceGetCount(self):
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        if uuid in self.slices:
            return uuid
        for place, gpu in enumerate(self.gpus):
            if gpu["uuid"] == uuid:
                return place
        raise NVMLError("Not Found")

    def nvmlDeviceIsMigDeviceHandle(self, handle):
        return int(handle in self.slices)

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle):
        return self.slices[handle]

    def nvmlDeviceGetUUID(self, handle):
        return handle if handle in self.slices else self.gpus[handle]["uuid"]

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=10 * 2**30 if handle in self.slices else self._told(handle, "memory"))

    def nvmlDeviceGetName(self, handle):
        return self._told(handle, "name")

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return self._told(handle, "capability")

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return self._told(handle, "limit")

    def nvmlDeviceGetPersistenceMode(self, handle):
        return self._told(handle, "persistence")

    def nvmlDeviceGetPowerUsage(self, handle):
        return self._told(handle, "milliwatts")

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return self._told(handle, "celsius")

    def nvmlDeviceGetClockInfo(self, handle, clock):
        return self._told(handle, "clocks")[clock]

    def nvmlDeviceGetMaxClockInfo(self, handle, clock):
        return self._told(handle, "highest")[clock]

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        if "nvmlDeviceGetCurrentClocksEventReasons" in self.missing:
            raise NVMLError("Function Not Found")
        return self._told(handle, "reasons")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self._told(handle, "reasons")

    def _told(self, handle, name):
        """A GPU's answer, which may be a function of how often it was asked; a slice has none of its own."""
        self.asked.append((handle, name))
        if handle in self.slices or name not in self.gpus[handle]:
            raise NVMLError("Not Supported")
        answer = self.gpus[handle][name]
        return next(answer) if hasattr(answer, "__next__") else answer


def made_gpu(uuid, **answers):
    """A GPU that answers everything; `answers` stand in for its own."""
    gpu = {
        "uuid": uuid,
        "name": "NVIDIA RTX A2000",
        "capability": (8, 6),
        "memory": 6 * 2**30,
        "limit": 70000,
        "persistence": 1,
        "milliwatts": 55500,
        "celsius": 61,
        "clocks": {1: 1200, 2: 6000},
        "highest": {1: 2100, 2: 6001},
        "reasons": 0,
    }
    return gpu | answers
