"""A graph into a TensorRT engine, the same way in both flavours.

The network is strongly typed: the graph says which precision each layer has, and the builder follows.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.engines.tensorrt.flavours import STANDARD, Flavour, capability_name
from edgekd.engines.tensorrt.layers import Layer, layers_inspected, layers_listed
from edgekd.engines.tensorrt.listening import OnProgress, make_listener, make_monitor
from edgekd.errors import ArtifactError


class BuildOptions(NamedTuple):
    """What a builder is told besides the graph.

    Attributes:
        capabilities: Compute capabilities such as "8.6", only for TensorRT for RTX; none for Ampere and later.
        largest_batch: Frames, of a graph whose batch is free; 1 for any other.
        workspace_mib: Device memory that a kernel may take for its work, in MiB; None for what the GPU has.
        timing_cache: What an earlier build has measured; None measures anew and keeps nothing. Only the standard one.
    """

    capabilities: tuple[str, ...] = ()
    largest_batch: int = 1
    workspace_mib: int | None = None
    timing_cache: bytes | None = None


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
    """
    listener = make_listener(flavour.module)
    monitor = make_monitor(flavour.module, on_progress)
    # In a thread of its own, so that Ctrl-C comes to this one and not into TensorRT's calls back.
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(_compiled, onnx_path, flavour, options, listener, monitor)
        try:
            built = building.result()
        except BaseException:
            monitor.cancelled = True
            raise
    if isinstance(built, str):
        raise ArtifactError(f"{flavour.title} cannot build {onnx_path}: {built}{_hint(options)}")
    return built


def _hint(options: BuildOptions) -> str:
    """What may help, of what was asked for."""
    asked = {"a smaller --batch": options.largest_batch > 1, "a larger --workspace": options.workspace_mib is not None}
    hints = [hint for hint, is_asked in asked.items() if is_asked]
    return f"; try {' or '.join(hints)}" if hints else ""


def _compiled(onnx_path: Path, flavour: Flavour, options: BuildOptions, listener: Any, monitor: Any) -> Built | str:
    """The engine, or what TensorRT has against the graph.

    Nothing is raised here: a traceback would keep the builder, and with it its logger for all builders to come.
    """
    trt = flavour.module
    try:
        builder = trt.Builder(listener)
    except TypeError:  # That is how the bindings say that there is none.
        return _complaint(listener, "it did not start")
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, listener)
    if not parser.parse_from_file(str(onnx_path)):
        return _parser_complaint(parser, listener)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.progress_monitor = monitor
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    _set_capabilities(trt, config, options.capabilities)
    try:
        _set_batch(builder, network, config, options.largest_batch)
    except (RuntimeError, TypeError):  # Of numbers that its dimensions do not hold.
        return f"it takes no batch of {options.largest_batch}"
    if options.timing_cache is not None:
        _set_timing_cache(config, options.timing_cache)
    blob = builder.build_serialized_network(network, config)
    if blob is None:
        return _complaint(listener, "it says nothing more")
    serialised = bytes(memoryview(blob))
    layers = _inspected(trt, serialised, listener) if flavour.name == STANDARD else layers_listed(listener.layers)
    return Built(serialised, layers, None if options.timing_cache is None else _measured(config))


def _set_capabilities(trt: Any, config: Any, capabilities: tuple[str, ...]) -> None:
    if capabilities:
        config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        config.set_compute_capability(getattr(trt.ComputeCapability, capability_name(capability)), index)


def _set_batch(builder: Any, network: Any, config: Any, largest: int) -> None:
    """Opens a graph's free batch from 1 to `largest`; the kernels are chosen for the largest."""
    tensor = network.get_input(0)
    batch, *frame = tensor.shape
    if batch == -1:
        profile = builder.create_optimization_profile()
        profile.set_shape(tensor.name, [1, *frame], [largest, *frame], [largest, *frame])
        config.add_optimization_profile(profile)


def _set_timing_cache(config: Any, saved: bytes) -> None:
    """Starts from what was measured before; another GPU's or version's measurements are left."""
    cache = config.create_timing_cache(saved)
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)


def _measured(config: Any) -> bytes:
    cache = config.get_timing_cache()
    return bytes(memoryview(cache.serialize()))


def _inspected(trt: Any, serialised: bytes, listener: Any) -> list[Layer]:
    """The layers, by the engine itself; it is on its GPU. None where it cannot tell."""
    runtime = trt.Runtime(listener)
    engine = runtime.deserialize_cuda_engine(serialised)
    if engine is None:
        return []
    inspector = engine.create_engine_inspector()
    try:
        return layers_inspected(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    except (KeyError, TypeError, ValueError):  # The engine is whole; only its report is of a form not known.
        return []


def _parser_complaint(parser: Any, listener: Any) -> str:
    if parser.num_errors == 0:
        return _complaint(listener, "it is no ONNX graph")
    refusal = parser.get_error(0)
    node = f"{refusal.node_operator()} {refusal.node_name()}: " if refusal.node() >= 0 else ""
    return " ".join(f"{node}{refusal.desc()}".split())


def _complaint(listener: Any, otherwise: str) -> str:
    return listener.errors[0] if listener.errors else otherwise
