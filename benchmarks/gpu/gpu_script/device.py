"""The device record: what every figure of the other parts must be read with. Written first."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any
from xml.etree import ElementTree

from edgekd.profiling.timing import device_record
from gpu_script import part
from gpu_script.part import Clock
from gpu_script.record import Record
from gpu_script.settings import Settings

SMI_SECONDS = 30.0
FACTS = """product_name product_architecture uuid vbios_version persistence_mode mig_mode compute_mode
    performance_state clocks_event_reasons clocks_throttle_reasons fb_memory_usage ecc_mode temperature
    gpu_power_readings power_readings clocks applications_clocks max_clocks pci processes"""  # nvidia-smi -q, of a GPU.
PACKAGES = """numpy opencv-python-headless onnx safetensors typer rich pytest triton cuda-bindings pycuda tensorrt
    tensorrt-rtx onnxruntime onnxruntime-gpu"""


def describe(settings: Settings, clock: Clock, record: Record) -> None:
    record.put("requested", value={"device": settings.device, "size": settings.size, "batches": settings.batches})
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    record.put("cpu", value=device_record(cores) | {"load": os.getloadavg()})
    record.put("nvidia_smi", value=nvidia_smi())
    record.put("torch", value=torch_facts())
    record.put("packages", value=packages())
    if settings.on_gpu and not record.content["torch"].get("device"):
        record.problem(f"torch sees no CUDA device: {record.content['torch']['why']}")


def nvidia_smi() -> dict[str, Any] | str:
    """What nvidia-smi -q tells, the first GPU's facts by name; why not, where it does not."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "nvidia-smi is not installed"
    try:
        done = subprocess.run([program, "-q", "-x"], capture_output=True, text=True, timeout=SMI_SECONDS, check=True)
        root = ElementTree.fromstring(done.stdout)
    except (OSError, subprocess.SubprocessError, ElementTree.ParseError) as error:
        return f"nvidia-smi -q failed: {type(error).__name__}: {error}"
    facts: dict[str, Any] = {name: root.findtext(name) for name in ("timestamp", "driver_version", "cuda_version")}
    facts["gpus"] = len(root.findall("gpu"))
    gpu = root.find("gpu")
    if gpu is not None:
        facts |= {child.tag: _tree(child) for child in gpu if child.tag in FACTS.split()}
    return facts


def _tree(element: ElementTree.Element) -> Any:
    return {child.tag: _tree(child) for child in element} if len(element) else (element.text or "").strip()


def torch_facts() -> dict[str, Any]:
    """Torch, what it was built for, and the GPU as it sees it."""
    import torch

    facts: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda}
    try:
        torch.cuda.init()
        properties = torch.cuda.get_device_properties(0)
        facts |= {
            "device": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": properties.total_memory,
            "multiprocessors": properties.multi_processor_count,
            "architectures": torch.cuda.get_arch_list(),
            "cudnn": torch.backends.cudnn.version(),
        }
    except Exception as error:  # Whatever keeps torch from the GPU is what the reader wants to know.
        facts["why"] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return facts


def packages() -> dict[str, str | None]:
    """The versions of what the script, the engines and torch use."""
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str | None] = {}
    for name in PACKAGES.split():
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


if __name__ == "__main__":
    part.run("device", describe)
