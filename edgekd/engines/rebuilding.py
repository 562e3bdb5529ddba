"""Whether an engine has to be built again: it is missing, damaged, of another graph, or no longer for this machine."""

from __future__ import annotations

from typing import Any

from edgekd.artifact import Manifest, read_manifest
from edgekd.backends import OPENVINO
from edgekd.engines.build_plan import BuildPlan
from edgekd.engines.build_record import engine_record
from edgekd.engines.compiling import gpu_record, installed_version, processor_name, requested, served_by
from edgekd.engines.tensorrt.checks import refuse_unfit
from edgekd.engines.tensorrt.flavours import STANDARD, load_flavour
from edgekd.errors import ArtifactError

# What differs between the manifests of a graph and of its engine, or comes later and does not change how it is used.
NOT_COMPARED = {"file", "sha256", "format_version", "drift"}


def reason_to_build(plan: BuildPlan) -> str | None:
    """Why the engine of a plan must be built, or built again.

    An engine of TensorRT for RTX is for the GPUs that its plan names, on whatever machine it is built. So the GPU of
    this machine does not count there: building again would change nothing.

    Args:
        plan: What is asked for.

    Returns:
        The reason in one line; None where the engine is there and is what the plan would build.

    Raises:
        MachineError: The back end is not installed, or needs a GPU that is not here.
    """
    if not plan.output.exists():
        return f"there is no {plan.output} yet"
    try:
        manifest = read_manifest(plan.output)
        record = engine_record(manifest, plan.output)
    except ArtifactError as error:
        return str(error)
    return _other_build(plan, record) or _other_graph(plan, manifest, record) or _other_machine(plan, manifest, record)


def _other_build(plan: BuildPlan, record: dict[str, Any]) -> str | None:
    """What was built with another back end, version or option."""
    wanted = {"flavour": plan.backend, "version": installed_version(plan.backend), **requested(plan)}
    served = served_by(plan)
    if served is not None:
        wanted["compute_capabilities"] = served
    for name, value in wanted.items():
        if name not in record:
            return f"{plan.output} was built by an earlier edgekd, which did not record its {_words(name)}"
        if record[name] != value:
            before, now = _text(record[name]), _text(value)
            return f"{plan.output} was built with {_words(name)} {before}, and now it is {now}"
    return None


def _other_graph(plan: BuildPlan, manifest: Manifest, record: dict[str, Any]) -> str | None:
    """What was built from another graph, or from the same one with another threshold or origin."""
    if record.get("onnx_sha256") != plan.manifest["sha256"]:
        return f"{plan.output} was built from another graph than {plan.onnx_path} is now"
    for name in plan.manifest.keys() - NOT_COMPARED:
        if manifest.get(name) != plan.manifest[name] and not _set_since(name, plan.manifest, manifest):
            return f"the manifest of {plan.onnx_path} has another {_words(name)} than {plan.output} was built with"
    return None


def _set_since(name: str, graph: Manifest, engine: Manifest) -> bool:
    """Whether an entry differs because the engine got a threshold of its own after it was built from this graph."""
    earlier = (engine.get("threshold") or {}).get("history") or []
    of_graph = {key: value for key, value in (graph["threshold"] or {}).items() if key != "history"}
    return name in ("threshold", "good_scores") and of_graph in earlier


def _other_machine(plan: BuildPlan, manifest: Manifest, record: dict[str, Any]) -> str | None:
    """What was built on another GPU or processor that this one does not replace."""
    if plan.backend == STANDARD:
        gpu = gpu_record(plan.gpu)
        try:
            refuse_unfit(manifest, plan.output, load_flavour(STANDARD), gpu["capability"], gpu["name"])
        except ArtifactError as error:
            return str(error)
    if plan.backend == OPENVINO:
        built_on, here = (record.get("device") or {}).get("name"), processor_name()
        if built_on != here:
            return f"{plan.output} was built on {built_on}, and this processor is {here}"
    return None


def _words(name: str) -> str:
    """What a key of a record or manifest is about."""
    return {"flavour": "back end", "workspace_mib": "workspace"}.get(name, name.replace("_", " "))


def _text(value: Any) -> str:
    """A value of a record in words."""
    if isinstance(value, list):
        return ", ".join(value)
    return "none" if value is None else str(value)
