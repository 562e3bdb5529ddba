"""Which back ends work on this machine, tried for real, and what would make the others work.

Each is tried in a process of its own: a library that is built for another machine may end the process that loads it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from edgekd.engines.accelerators import ACCELERATED, GPU, NPU, ON_CUDA, AcceleratorError, try_accelerator
from edgekd.engines.cuda import open_driver
from edgekd.engines.runtimes import import_onnxruntime, import_openvino
from edgekd.engines.tensorrt.flavours import RTX, RTX_CAPABILITIES, STANDARD, is_installed, load_flavour
from edgekd.errors import EdgekdError, MachineError, one_line
from edgekd.machine.record import Gpu, Machine

BACKENDS = ("openvino", "onnxruntime", *ACCELERATED, STANDARD, RTX)
TRIAL_SECONDS = 120.0
NVIDIA_DRIVER = "install the NVIDIA driver, then run edgekd doctor again"
CUDA_13_DRIVER = 580  # The first Linux driver that serves CUDA 13.

_TRIAL = (
    "import json, sys; from edgekd.machine.backends import try_here; "
    "sys.stdout.write('\\n' + json.dumps(try_here(sys.argv[1])))"
)


@dataclass(frozen=True)
class Backend:
    """A back end on this machine.

    Attributes:
        name: As --backend takes it.
        version: Of what is installed; None where nothing is.
        usable: Whether engines run on it here.
        why_not: In one line; None where it is usable.
        install: The one line that would make it usable; None where it is, or where nothing would.
    """

    name: str
    version: str | None
    usable: bool
    why_not: str | None
    install: str | None


def try_backends(machine: Machine) -> list[Backend]:
    """Tries every back end.

    Args:
        machine: This one.
    """
    return [_tried(name, machine) for name in BACKENDS]


def try_cuda() -> tuple[dict[str, str] | None, str | None]:
    """Whether a GPU answers through CUDA.

    Returns:
        The GPU's name, compute capability, newest CUDA version and Python package, or None; and why not.
    """
    said = _in_a_process("cuda")
    return said.get("device"), said["why_not"]


def try_here(name: str) -> dict[str, Any]:
    """Loads a back end into this process, and asks the GPU or NPU that it needs for an answer too.

    Args:
        name: Of a back end, or "cuda" for the GPU alone.

    Returns:
        `version`, `why_not`, for "cuda" the `device`, and for an accelerator `install`, what it lacks.
    """
    version: str | None = None
    try:
        if name == "cuda":
            return {"version": None, "why_not": None, "device": _gpu()}
        if name in ACCELERATED:
            return {"version": try_accelerator(name), "why_not": None}
        if name in (STANDARD, RTX):
            if not is_installed(name):
                return {"version": None, "why_not": "it is not installed"}
            version = load_flavour(name).version
            capability = _gpu()["capability"]
            if name == RTX and capability not in RTX_CAPABILITIES:
                raise MachineError(
                    f"it serves compute capability {', '.join(RTX_CAPABILITIES)}, and this GPU has {capability}"
                )
        else:
            version = _load_for_cpu(name)
    except AcceleratorError as error:
        return {"version": version, "why_not": error.why, "install": error.install}
    except ModuleNotFoundError as error:
        return {"version": version, "why_not": "it is not installed" if error.name == name else one_line(error)}
    except (EdgekdError, ImportError, OSError, RuntimeError) as error:
        return {"version": version, "why_not": one_line(error)}
    return {"version": version, "why_not": None}


def install_line(name: str, machine: Machine, lacking: str | None = None) -> str | None:
    """What to type to make a back end usable on a machine.

    Args:
        name: Of the back end.
        machine: The machine.
        lacking: What an accelerator itself said is to be installed.

    Returns:
        None where nothing would.
    """
    if name in ACCELERATED:
        return _for_an_accelerator(name, machine, lacking)
    if name not in (STANDARD, RTX):
        return f"pip install {name}"
    if machine.l4t is not None:
        return _on_a_jetson(machine) if name == STANDARD else None
    if machine.gpu is None:
        return NVIDIA_DRIVER if machine.nvidia_card else None
    if _cuda_major(machine.gpu) >= 13:
        return f"pip install 'edgekd[{name}]'"
    if name == STANDARD:
        return "pip install tensorrt-cu12 'cuda-bindings==12.9.*'"
    return f"update the NVIDIA driver to {CUDA_13_DRIVER} or newer, then pip install 'edgekd[{name}]'"


def _for_an_accelerator(name: str, machine: Machine, lacking: str | None) -> str | None:
    if name == GPU:
        return lacking if machine.intel_gpu else None
    if name == NPU:
        return lacking if machine.intel_npu else None
    if machine.l4t is not None:
        return "install a wheel of onnxruntime-gpu built for this JetPack: those of PyPI are for other machines"
    if machine.gpu is None:
        return NVIDIA_DRIVER if machine.nvidia_card else None
    return lacking


def _on_a_jetson(machine: Machine) -> str:
    if machine.jetpack is None or not machine.jetpack.is_supported:
        return "install JetPack 6.1 or newer on this Jetson: what it has brings no TensorRT 10.3"
    bindings = "'cuda-bindings==12.9.*'" if machine.jetpack.cuda.startswith("12.") else "'cuda-bindings==13.*'"
    return (
        f"sudo apt install python3-libnvinfer, then in a venv made with --system-site-packages pip install {bindings}"
    )


def _cuda_major(gpu: Gpu) -> int:
    if gpu.cuda is not None:
        return int(gpu.cuda.partition(".")[0])
    return 13 if int(gpu.driver.partition(".")[0]) >= CUDA_13_DRIVER else 12


def _tried(name: str, machine: Machine) -> Backend:
    said = _in_a_process(name)
    package = name.partition(":")[0]
    version = said["version"] or machine.packages.get(package)
    if version is None and name in ON_CUDA:
        version = machine.packages.get("onnxruntime-gpu")
    why_not = said["why_not"]
    if why_not is None:
        return Backend(name, version, True, None, None)
    return Backend(name, version, False, why_not, install_line(name, machine, said.get("install")))


def _in_a_process(name: str) -> dict[str, Any]:
    try:
        ended = subprocess.run(
            [sys.executable, "-c", _TRIAL, name],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TRIAL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {"version": None, "why_not": f"it did not load within {TRIAL_SECONDS:.0f} seconds"}
    try:
        said: dict[str, Any] = json.loads(ended.stdout.rpartition("\n")[2])
    except ValueError:
        return {"version": None, "why_not": _how_it_ended(ended)}
    return said


def _how_it_ended(ended: subprocess.CompletedProcess[str]) -> str:
    if ended.returncode < 0:
        return f"it ends the process that loads it ({signal.Signals(-ended.returncode).name})"
    last = ended.stderr.strip().rpartition("\n")[2]
    return f"it does not load ({last or f'exit code {ended.returncode}'})"


def _load_for_cpu(name: str) -> str:
    if name == "openvino":
        openvino = import_openvino()

        if "CPU" not in openvino.Core().available_devices:
            raise MachineError("it finds no CPU that it can compute on")
        return str(openvino.__version__).partition("-")[0]
    onnxruntime = import_onnxruntime()

    if "CPUExecutionProvider" not in onnxruntime.get_available_providers():
        raise MachineError("this build cannot compute on the CPU")
    return str(onnxruntime.__version__)


def _gpu() -> dict[str, str]:
    driver = open_driver()
    try:
        device = driver.device
        return {
            "name": device.name,
            "capability": device.capability,
            "cuda": device.driver,
            "package": driver.package,
        }
    finally:
        driver.close()
