"""This machine: board, CPU, GPU, memory, disk, and the packages of the back ends."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from edgekd.backends import BUILT, ONNXRUNTIME, OPENVINO
from edgekd.engines.cores import usable_cores
from edgekd.machine.jetpack import JetPack, find_jetpack, read_l4t
from edgekd.machine.nvml import open_nvml

# Instructions for products of 8-bit integers, by the kernel's names: of x86_64, then of aarch64.
INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
ARM_CORES = {("0x41", "0xd42"): "Arm Cortex-A78AE", ("0x41", "0xd83"): "Arm Neoverse-V3AE"}  # Of Orin; of Thor.
PACKAGES = (
    OPENVINO,
    ONNXRUNTIME,
    f"{ONNXRUNTIME}-gpu",
    *BUILT,
    "cuda-bindings",
    "pycuda",
    "torch",
)
NVIDIA, INTEL = "0x10de", "0x8086"  # Vendors of PCI devices,
DISPLAY, ACCELERATOR = "0x03", "0x12"  # and how their classes begin.


@dataclass(frozen=True)
class Cpu:
    """The processor.

    Attributes:
        name: As its maker or the kernel calls it; None where neither does.
        cores: How many this process may use.
        int8: Its instructions for 8-bit integers, by the kernel's names; None where it reports no instructions, as on
            Windows.
    """

    name: str | None
    cores: int
    int8: tuple[str, ...] | None


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU with a driver.

    Attributes:
        name: As the driver calls it; None where it does not report one.
        driver: The driver's version.
        cuda: The newest version of CUDA that the driver supports; None without NVML.
        memory_bytes: None without NVML.
    """

    name: str | None
    driver: str
    cuda: str | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Machine:
    """A machine.

    Attributes:
        architecture: Such as "x86_64" or "aarch64".
        system: The operating system's name and kernel.
        python: The version that runs.
        model: The board, as the device tree calls it; None on a PC.
        l4t: The L4T release of a Jetson; None elsewhere.
        jetpack: The JetPack of that release; None where it is unknown.
        cpu: The processor.
        gpu: The first NVIDIA GPU; None without a driver, and on Jetsons, whose driver is part of L4T.
        nvidia_card: Whether an NVIDIA graphics card is plugged in, with or without a driver.
        intel_gpu: Whether there is an Intel GPU, with or without a driver.
        intel_npu: Whether there is an Intel NPU, with or without a driver.
        memory_bytes: In all; None where the kernel does not report it.
        free_disk_bytes: On the disk of the working folder.
        packages: Installed version by package; None for one that is not installed.
    """

    architecture: str
    system: str
    python: str
    model: str | None
    l4t: str | None
    jetpack: JetPack | None
    cpu: Cpu
    gpu: Gpu | None
    nvidia_card: bool
    intel_gpu: bool
    intel_npu: bool
    memory_bytes: int | None
    free_disk_bytes: int
    packages: dict[str, str | None]


def read_machine(
    etc: Path = Path("/etc"), proc: Path = Path("/proc"), sys_folder: Path = Path("/sys"), disk: Path = Path()
) -> Machine:
    """Reads what this machine is.

    Args:
        etc: The system's settings.
        proc: The kernel's view of processes and hardware.
        sys_folder: The kernel's view of devices.
        disk: A folder on the disk whose free space counts.
    """
    l4t = read_l4t(etc)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _read(proc / "meminfo"), re.MULTILINE)
    return Machine(
        architecture=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        python=".".join(str(part) for part in sys.version_info[:3]),
        model=_read(sys_folder / "firmware" / "devicetree" / "base" / "model").rstrip("\0\n") or None,
        l4t=l4t,
        jetpack=find_jetpack(l4t) if l4t else None,
        cpu=read_cpu(proc),
        gpu=_gpu_by_nvml() or _gpu_by_kernel(proc),
        nvidia_card=_has_device(sys_folder, NVIDIA, DISPLAY),
        intel_gpu=_has_device(sys_folder, INTEL, DISPLAY),
        intel_npu=_has_device(sys_folder, INTEL, ACCELERATOR),
        memory_bytes=int(memory[1]) * 1024 if memory else None,
        free_disk_bytes=shutil.disk_usage(disk).free,
        packages={package: installed_version(package) for package in PACKAGES},
    )


def read_cpu(proc: Path = Path("/proc")) -> Cpu:
    """The processor, from /proc/cpuinfo.

    Args:
        proc: The folder of cpuinfo.
    """
    fields: dict[str, str] = {}
    for line in _read(proc / "cpuinfo").splitlines():
        field, colon, value = line.partition(":")
        if colon:
            fields.setdefault(field.strip(), value.strip())  # Of the first core.
    flags = fields.get("flags", fields.get("Features"))
    int8 = None if flags is None else tuple(flag for flag in INT8_INSTRUCTIONS if flag in flags.split())
    part = (fields.get("CPU implementer", ""), fields.get("CPU part", ""))
    name = ARM_CORES.get(part) or fields.get("model name")
    return Cpu(name, usable_cores(), int8)


def installed_version(package: str) -> str | None:
    """The version of an installed package, without importing it.

    Args:
        package: Its name on PyPI.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpu_by_nvml() -> Gpu | None:
    nvml = open_nvml()
    if nvml is None:
        return None
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(0)
        cuda = int(nvml.nvmlSystemGetCudaDriverVersion())
        try:
            memory: int | None = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
        except nvml.NVMLError:  # A GPU that shares the machine's memory has none of its own.
            memory = None
        return Gpu(
            name=str(nvml.nvmlDeviceGetName(handle)),
            driver=str(nvml.nvmlSystemGetDriverVersion()),
            cuda=f"{cuda // 1000}.{cuda % 1000 // 10}",
            memory_bytes=memory,
        )
    except nvml.NVMLError:
        return None
    finally:
        nvml.nvmlShutdown()


def _gpu_by_kernel(proc: Path) -> Gpu | None:
    """The GPU as the kernel's part of the driver shows it; nvidia-ml-py is not needed for that."""
    folder = proc / "driver" / "nvidia"
    driver = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s", _read(folder / "version"), re.MULTILINE)
    if driver is None:
        return None
    pages = (_read(page) for page in sorted(folder.glob("gpus/*/information")))
    names = [found[1].strip() for page in pages if (found := re.search(r"^Model:(.*)$", page, re.MULTILINE))]
    return Gpu(name=names[0] if names else None, driver=driver[1], cuda=None, memory_bytes=None)


def _has_device(sys_folder: Path, vendor: str, kind: str) -> bool:
    """Whether there is a PCI device of a vendor and a class."""
    devices = sys_folder.glob("bus/pci/devices/*")
    return any(
        _read(device / "vendor").strip() == vendor and _read(device / "class").startswith(kind) for device in devices
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
