"""Whether an .engine file is for this machine, reported before TensorRT reads it, with the command that mends it.

TensorRT reads an engine only in the version that wrote it and on the GPUs that it was built for; its own message names
neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest
from edgekd.backends import TITLES
from edgekd.engines.build_record import build_command, engine_record, graph_beside, refuse_other_version
from edgekd.engines.tensorrt.flavours import (
    INSTALLS,
    PORTABLE_CAPABILITIES,
    RTX,
    RTX_CAPABILITIES,
    STANDARD,
    Flavour,
    is_ampere_or_later,
)
from edgekd.errors import ArtifactError, MachineError


def refuse_unfit(manifest: Manifest, path: Path, flavour: Flavour, capability: str, gpu_name: str) -> None:
    """Refuses an engine that this TensorRT or this GPU cannot run.

    Args:
        manifest: The engine's.
        path: The engine, to be named.
        flavour: That would load it.
        capability: Compute capability of this machine's GPU, such as "8.9".
        gpu_name: Of this machine's GPU, as its driver calls it, such as "NVIDIA L4".

    Raises:
        ArtifactError: It is another flavour's, another version's, or for other GPUs.
    """
    record = engine_record(manifest, path)
    if record["flavour"] != flavour.name:
        built_by = TITLES.get(record["flavour"], record["flavour"])
        install = f"{INSTALLS[record['flavour']]}, or " if record["flavour"] in INSTALLS else ""
        raise ArtifactError(
            f"{path} is an engine of {built_by} and not of {flavour.title}: {install}"
            f"{_build_for(record, path, flavour.name)}"
        )
    refuse_other_version(manifest, path, flavour.title, flavour.version)
    if flavour.name == RTX:
        _refuse_unserved(record, path, capability)
    else:
        _refuse_other_gpu(record, path, capability, gpu_name)


def needs_gpu(manifest: Manifest, path: Path, error: MachineError) -> MachineError:
    """The error for an engine on a machine without a GPU.

    Args:
        manifest: The engine's.
        path: The engine.
        error: Why no GPU answers.
    """
    record = engine_record(manifest, path)
    return MachineError(
        f"{path} needs an NVIDIA GPU of {capabilities_text(served_capabilities(record))}, and none answers here: "
        f"{error}; without one run edgekd bench --engine {graph_beside(record, path)}"
    )


def capabilities_text(capabilities: Sequence[str]) -> str:
    """The GPUs that an engine is for, in words."""
    *others, last = capabilities
    return f"compute capability {', '.join(others)} or {last}" if others else f"compute capability {last}"


def served_capabilities(record: dict[str, Any]) -> list[str]:
    """The compute capabilities that an engine is for.

    Args:
        record: How it was built. A portable engine of an earlier edgekd has an empty list there.
    """
    return list(record["compute_capabilities"]) or list(PORTABLE_CAPABILITIES)


def _refuse_unserved(record: dict[str, Any], path: Path, capability: str) -> None:
    """Refuses an engine of TensorRT for RTX on a GPU whose compute capability it was not built for."""
    served = served_capabilities(record)
    if capability in served:
        return
    if capability in RTX_CAPABILITIES:
        mend = f"build it again with {build_command(record, path)} --compute-capability {capability}"
    else:
        mend = f"{TITLES[RTX]} does not build for this one: {_build_for(record, path, STANDARD)}"
    raise ArtifactError(f"{path} is for {capabilities_text(served)} and this GPU has {capability}: {mend}")


def _refuse_other_gpu(record: dict[str, Any], path: Path, capability: str, gpu_name: str) -> None:
    """Refuses a standard engine on a GPU of another model, unless it was built to be compatible with it."""
    compatibility = record.get("hardware_compatibility", "none")
    if compatibility == "ampere-plus" and is_ampere_or_later(capability):
        return
    if compatibility == "ampere-plus":
        raise ArtifactError(
            f"{path} is for compute capability 8.0 or later and this GPU has {capability}: "
            f"{_build_for(record, path, STANDARD)}"
        )
    command = build_command(record, path)
    again = f"build it again on this machine with {command}"
    if capability not in record["compute_capabilities"]:
        built_for = capabilities_text(record["compute_capabilities"])
        raise ArtifactError(f"{path} is for {built_for} and this GPU has {capability}: {again}")
    built_on = (record.get("device") or {}).get("name", gpu_name)
    if built_on != gpu_name and compatibility != "same-compute-capability":
        raise ArtifactError(
            f"{path} was built on {built_on} and this GPU is {gpu_name}: TensorRT chose kernels for the other model; "
            f"{again}, or once for both with {command} --hardware-compatibility same-compute-capability"
        )


def _build_for(record: dict[str, Any], path: Path, backend: str) -> str:
    """How to build for another flavour, on the machine where the engine shall run."""
    return f"build for this machine with edgekd build {graph_beside(record, path)} --backend {backend}"
