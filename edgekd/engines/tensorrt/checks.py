"""Whether an .engine file is for this machine, said before TensorRT sees it, with the command that mends it.

TensorRT reads an engine only in the version that wrote it and on the GPUs that it was built for; what it says
otherwise names neither.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest
from edgekd.engines.tensorrt.flavours import (
    INSTALLS,
    RTX,
    RTX_CAPABILITIES,
    STANDARD,
    TITLES,
    Flavour,
    is_portable_to,
)
from edgekd.errors import ArtifactError, MachineError


def refuse_unfit(manifest: Manifest, path: Path, flavour: Flavour, capability: str) -> None:
    """Refuses an engine that this TensorRT or this GPU cannot run.

    Args:
        manifest: The engine's.
        path: The engine, to be named.
        flavour: That would load it.
        capability: Of this machine's GPU, such as "8.9".

    Raises:
        ArtifactError: It is another flavour's, another version's, or for other GPUs.
    """
    record = engine_record(manifest, path)
    if record["flavour"] != flavour.name:
        built_by = TITLES.get(record["flavour"], record["flavour"])
        install = f"{INSTALLS[record['flavour']]}, or " if record["flavour"] in INSTALLS else ""
        raise ArtifactError(
            f"{path} is an engine of {built_by} and not of {flavour.title}: {install}{_other(record, flavour.name)}"
        )
    refuse_other_version(manifest, path, flavour.title, flavour.version)
    _refuse_other_gpu(record, path, flavour, capability)


def refuse_other_version(manifest: Manifest, path: Path, title: str, version: str) -> None:
    """Refuses an engine that another version wrote.

    Args:
        manifest: The engine's.
        path: The engine, to be named.
        title: What would load it, such as "TensorRT".
        version: Of what would load it.

    Raises:
        ArtifactError: Another version wrote it.
    """
    record = engine_record(manifest, path)
    if record["version"] != version:
        raise ArtifactError(
            f"{path} was built by {title} {record['version']} and {version}, which is here, cannot read it: "
            f"build it again with {record['command']}"
        )


def needs_gpu(manifest: Manifest, path: Path, error: MachineError) -> MachineError:
    """The error for an engine on a machine without a GPU.

    Args:
        manifest: The engine's.
        path: The engine.
        error: Why no GPU answers.
    """
    record = engine_record(manifest, path)
    onnx = shlex.quote(str(path.with_name(record["onnx"])))
    return MachineError(
        f"{path} needs an NVIDIA GPU of {capabilities_text(record['compute_capabilities'])}, and none answers here: "
        f"{error}; without one run edgekd bench --engine {onnx}"
    )


def capabilities_text(capabilities: Sequence[str]) -> str:
    """The GPUs that an engine is for, in words."""
    if not capabilities:
        return "compute capability 8.0 or later"
    *others, last = capabilities
    return f"compute capability {', '.join(others)} or {last}" if others else f"compute capability {last}"


def engine_record(manifest: Manifest, path: Path) -> dict[str, Any]:
    """What a manifest says of how its engine was built.

    Raises:
        ArtifactError: It does not say so.
    """
    record = manifest.get("engine")
    wanted = {"flavour", "version", "compute_capabilities", "onnx", "command"}
    if not isinstance(record, dict) or not wanted <= record.keys():
        raise ArtifactError(f"the manifest of {path} does not say how it was built: build it again with edgekd build")
    return dict(record)


def _refuse_other_gpu(record: dict[str, Any], path: Path, flavour: Flavour, capability: str) -> None:
    built_for = record["compute_capabilities"]
    if capability in built_for or (not built_for and is_portable_to(capability)):
        return
    if flavour.name == STANDARD:
        mend = f"build it again on this machine with {record['command']}"
    elif capability in RTX_CAPABILITIES:
        mend = f"build it again with {record['command']} --compute-capability {capability}"
    else:
        mend = f"{TITLES[RTX]} does not build for this one: {_other(record, STANDARD)}"
    raise ArtifactError(f"{path} is for {capabilities_text(built_for)} and this GPU has {capability}: {mend}")


def _other(record: dict[str, Any], backend: str) -> str:
    """How to build for another flavour, on the machine where it shall run."""
    return f"build for this machine with edgekd build {shlex.quote(record['onnx'])} --backend {backend}"
