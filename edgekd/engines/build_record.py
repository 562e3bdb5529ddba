"""How an engine was built, as its manifest records it, and the command that builds it again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from edgekd.artifact import Manifest
from edgekd.errors import ArtifactError


def engine_record(manifest: Manifest, path: Path) -> dict[str, Any]:
    """How an engine was built, as its manifest records it.

    Raises:
        ArtifactError: The manifest does not record it.
    """
    record = manifest.get("engine")
    wanted = {"flavour", "version", "compute_capabilities", "onnx", "command"}
    if not isinstance(record, dict) or not wanted <= record.keys():
        raise ArtifactError(
            f"the manifest of {path} does not record how it was built: build it again with edgekd build GRAPH.onnx "
            f"--output {shlex.quote(str(path))}"
        )
    return dict(record)


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
            f"build it again with {build_command(record, path)}"
        )


def graph_beside(record: dict[str, Any], path: Path) -> str:
    """The graph beside an engine, quoted for a shell."""
    return shlex.quote(str(path.with_name(record["onnx"])))


def build_command(record: dict[str, Any], path: Path) -> str:
    """The command that built an engine, to be pasted.

    It names the graph as it was named then. Where that is gone and the graph stands beside the engine, as after both
    were copied to another machine, it names that one.
    """
    words = shlex.split(record["command"])
    beside = path.with_name(record["onnx"])
    words = [str(beside) if Path(word).name == record["onnx"] and _is_only(beside, word) else word for word in words]
    return shlex.join(words)


def _is_only(beside: Path, named: str) -> bool:
    return beside.is_file() and not Path(named).is_file()
