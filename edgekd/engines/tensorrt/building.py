"""A graph into a TensorRT engine, the same way in both flavours.

The network is strongly typed: the graph fixes the precision of each layer, and the builder follows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.engines.tensorrt.flavours import RTX, STANDARD, Flavour, capability_name
from edgekd.engines.tensorrt.layers import Layer, layers_inspected, layers_listed
from edgekd.engines.tensorrt.progress import ERROR, OnProgress, logged_once, make_build_log, make_monitor
from edgekd.errors import ArtifactError, EdgekdError

NO_COMPATIBILITY = "none"
# How the manifest and the command line call a level of TensorRT's hardware compatibility, and its name in TensorRT.
COMPATIBILITY_LEVELS = {"same-compute-capability": "SAME_COMPUTE_CAPABILITY", "ampere-plus": "AMPERE_PLUS"}


class BuildOptions(NamedTuple):
    """Options of a builder, besides the graph.

    Attributes:
        capabilities: Compute capabilities such as "8.6", only for TensorRT for RTX; none for Ampere and later.
        largest_batch: Images in a batch at most, of a graph whose batch is free; 1 for any other.
        opt_batch: The batch that kernels are chosen for, 1..largest_batch, of a graph whose batch is free.
        workspace_mib: Device memory that a kernel may take for its work, in MiB; None for what the GPU has.
        timing_cache: What an earlier build has measured; None measures anew and keeps nothing. Only the standard one.
        hardware_compatibility: Other GPUs that the engine shall run on: "none", "same-compute-capability" or
            "ampere-plus". Only the standard one.
    """

    capabilities: tuple[str, ...] = ()
    largest_batch: int = 1
    opt_batch: int = 1
    workspace_mib: int | None = None
    timing_cache: bytes | None = None
    hardware_compatibility: str = NO_COMPATIBILITY


class Built(NamedTuple):
    """An engine.

    Attributes:
        blob: The serialised engine.
        layers: What it consists of.
        timing_cache: What the build has measured, with what was given; None where none was given.
    """

    blob: bytes
    layers: list[Layer]
    timing_cache: bytes | None


def build_engine(
    onnx_path: Path, flavour: Flavour, options: BuildOptions, on_progress: OnProgress | None = None
) -> Built:
    """Compiles a graph.

    Args:
        onnx_path: The graph; one free dimension, the batch, may be left to `options`.
        flavour: That compiles it. The standard one needs the GPU that it builds for.
        options: For the builder.
        on_progress: Called from another thread with a phase, the steps done of it and its steps in all.

    Raises:
        ArtifactError: TensorRT does not take the graph, or cannot compile it.
        EdgekdError: This version of TensorRT lacks the level of hardware compatibility.
    """
    level = _compatibility_level(flavour, options.hardware_compatibility)
    build_log = make_build_log(flavour.module)
    monitor = make_monitor(flavour.module, on_progress)
    # In a thread of its own, so that Ctrl-C comes to this one and not into TensorRT's calls back.
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(_compiled, onnx_path, flavour, options, level, build_log, monitor)
        try:
            built = building.result()
        except BaseException:
            monitor.cancelled = True
            raise
    for line in build_log.errors:
        if not isinstance(built, str) or line not in built:
            logged_once(ERROR, line)
    if isinstance(built, str):
        raise ArtifactError(f"{flavour.title} cannot build {onnx_path}: {built}{_hint(options)}")
    return built


def uses_user_allocation(flavour: str) -> bool:
    """Whether engines of a flavour are built with REQUIRE_USER_ALLOCATION, so that their inference can be captured.

    TensorRT for RTX may otherwise allocate memory while it infers, which CUDA does not allow in a capture. The standard
    TensorRT does not have the flag, up to 11.4 at least, and does not need it.
    """
    return flavour == RTX


def _compatibility_level(flavour: Flavour, name: str) -> Any:
    """TensorRT's own value of a level of hardware compatibility; None where none is asked for.

    Raises:
        EdgekdError: This version lacks it: 10.3 lacks SAME_COMPUTE_CAPABILITY.
    """
    if name == NO_COMPATIBILITY:
        return None
    level = getattr(flavour.module.HardwareCompatibilityLevel, COMPATIBILITY_LEVELS[name], None)
    if level is None:
        others = [other for other in COMPATIBILITY_LEVELS if other != name]
        raise EdgekdError(
            f"{flavour.title} {flavour.version} does not have --hardware-compatibility {name}: update TensorRT, leave "
            f"the option out, or give {' or '.join(others)}"
        )
    return level


def _hint(options: BuildOptions) -> str:
    """What may help, of what was asked for."""
    asked = {
        "a smaller --max-batch": options.largest_batch > 1,
        "a larger --workspace": options.workspace_mib is not None,
    }
    hints = [hint for hint, is_asked in asked.items() if is_asked]
    return f"; try {' or '.join(hints)}" if hints else ""


def _compiled(
    onnx_path: Path, flavour: Flavour, options: BuildOptions, level: Any, build_log: Any, monitor: Any
) -> Built | str:
    """The engine, or what TensorRT has against the graph.

    Nothing is raised here: a traceback would keep the builder, and with it its logger for all builders to come.
    """
    trt = flavour.module
    try:
        builder = trt.Builder(build_log)
    except TypeError:  # What the bindings raise where there is none.
        return _complaint(build_log, "it did not start")
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, build_log)
    if not parser.parse_from_file(str(onnx_path)):
        return _parser_complaint(parser, build_log)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.progress_monitor = monitor
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if uses_user_allocation(flavour.name):
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if level is not None:
        config.hardware_compatibility_level = level
    if not _set_capabilities(trt, config, options.capabilities):
        return _complaint(build_log, f"it does not build for compute capability {', '.join(options.capabilities)}")
    if not _set_batch(builder, network, config, options):
        return _complaint(build_log, f"it takes no batch of {options.largest_batch}")
    if options.timing_cache is not None:
        _set_timing_cache(config, options.timing_cache)
    blob = builder.build_serialized_network(network, config)
    if blob is None:
        return _complaint(build_log, "it gives no reason")
    serialised = bytes(memoryview(blob))
    layers = _inspected(trt, serialised, build_log) if flavour.name == STANDARD else layers_listed(build_log.layers)
    return Built(serialised, layers, None if options.timing_cache is None else _measured(config))


def _set_capabilities(trt: Any, config: Any, capabilities: tuple[str, ...]) -> bool:
    """Names the GPUs that the engine is for; False where TensorRT does not accept one."""
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
    names = [getattr(trt.ComputeCapability, capability_name(capability)) for capability in capabilities]
    return all(config.set_compute_capability(name, index) for index, name in enumerate(names))


def _set_batch(builder: Any, network: Any, config: Any, options: BuildOptions) -> bool:
    """Opens a graph's free batch, from 1 to the largest; False where TensorRT does not accept it."""
    tensor = network.get_input(0)
    batch, *frame = tensor.shape
    if batch != -1:
        return True
    profile = builder.create_optimization_profile()
    sizes = (1, options.opt_batch, options.largest_batch)
    try:
        profile.set_shape(tensor.name, *([size, *frame] for size in sizes))
    except (RuntimeError, TypeError):  # Of numbers that its dimensions do not hold.
        return False
    return bool(config.add_optimization_profile(profile) >= 0)


def _set_timing_cache(config: Any, saved: bytes) -> None:
    """Starts from what was measured before; another GPU's or version's measurements are left."""
    cache = config.create_timing_cache(saved)
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)


def _measured(config: Any) -> bytes:
    cache = config.get_timing_cache()
    return bytes(memoryview(cache.serialize()))


def _inspected(trt: Any, serialised: bytes, build_log: Any) -> list[Layer]:
    """The layers, by the engine itself; it is on its GPU. None where it has no inspector."""
    runtime = trt.Runtime(build_log)
    engine = runtime.deserialize_cuda_engine(serialised)
    if engine is None:
        return []
    inspector = engine.create_engine_inspector()
    try:
        return layers_inspected(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    except (KeyError, TypeError, ValueError):  # The engine is whole; only its report is of a form not known.
        return []


def _parser_complaint(parser: Any, build_log: Any) -> str:
    if parser.num_errors == 0:
        return _complaint(build_log, "it is not an ONNX graph")
    refusal = parser.get_error(0)
    node = f"{refusal.node_operator()} {refusal.node_name()}: " if refusal.node() >= 0 else ""
    build_log.errors.clear()  # The parser logs the same refusal in pieces.
    return " ".join(f"{node}{refusal.desc()}".split())


def _complaint(build_log: Any, otherwise: str) -> str:
    return build_log.errors[0] if build_log.errors else otherwise
