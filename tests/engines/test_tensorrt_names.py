"""Whether every name of TensorRT that the package uses is in every version it serves, read from its source.

`tensorrt_names.json` holds the classes and attributes that the Python bindings of all those versions share. Local
names stand for classes: a variable that holds something of TensorRT must be called as in `CLASSES`.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekd.engines.tensorrt

PACKAGE = Path(edgekd.engines.tensorrt.__file__).parent
SOURCES = sorted(PACKAGE.glob("*.py"))
TABLE = json.loads((Path(__file__).parent / "tensorrt_names.json").read_text())
NAMES = {name: set(attributes) for name, attributes in TABLE["names"].items()}

# What a variable of this name is; with a leading underscore and behind self too.
CLASSES = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "refusal": "ParserError",
    "tensor": "ITensor",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "cache": "ITimingCache",
    "blob": "IHostMemory",
    "logger": "Logger",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "inspector": "EngineInspector",
    "runtime_config": "IRuntimeConfig",
    "runtime_cache": "IRuntimeCache",
}
# The methods that give something of TensorRT again.
GIVES = {
    "Builder.create_network": "INetworkDefinition",
    "Builder.create_builder_config": "IBuilderConfig",
    "Builder.create_optimization_profile": "IOptimizationProfile",
    "Builder.build_serialized_network": "IHostMemory",
    "INetworkDefinition.get_input": "ITensor",
    "OnnxParser.get_error": "ParserError",
    "IBuilderConfig.create_timing_cache": "ITimingCache",
    "IBuilderConfig.get_timing_cache": "ITimingCache",
    "ITimingCache.serialize": "IHostMemory",
    "Runtime.deserialize_cuda_engine": "ICudaEngine",
    "ICudaEngine.create_engine_inspector": "EngineInspector",
    "ICudaEngine.create_execution_context": "IExecutionContext",
    "ICudaEngine.create_runtime_config": "IRuntimeConfig",
    "IRuntimeConfig.create_runtime_cache": "IRuntimeCache",
    "IRuntimeCache.serialize": "IHostMemory",
}
# Those that may: one of these that is not in GIVES could hand out an object that nobody looks at.
MAKERS = ("create_", "build_", "deserialize_", "get_input", "get_output", "get_layer", "get_error", "add_", "serialize")
GIVES_A_NUMBER = {"IBuilderConfig.add_optimization_profile"}
# Some version of the standard flavour lacks them, and code of RTX alone uses them.
RTX_ONLY = {
    "trt.ComputeCapability",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
    "BuilderFlag.REQUIRE_USER_ALLOCATION",
    "ICudaEngine.create_runtime_config",
    "IExecutionContext.is_stream_capturable",
    "IRuntimeCache.deserialize",
    "IRuntimeCache.serialize",
    "IRuntimeConfig.create_runtime_cache",
    "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy",
    "IRuntimeConfig.set_execution_context_allocation_strategy",
    "IRuntimeConfig.set_runtime_cache",
    "DynamicShapesKernelSpecializationStrategy.EAGER",
    "trt.DynamicShapesKernelSpecializationStrategy",
}


def class_of(node: ast.expr) -> str | None:
    """The class of TensorRT that an expression is of, "trt" for a flavour's module, None where it is neither."""
    if isinstance(node, ast.Name):
        return "trt" if node.id == "trt" else CLASSES.get(node.id.lstrip("_"))
    if isinstance(node, ast.Attribute):
        if node.attr == "module":
            return "trt"
        if class_of(node.value) == "trt":
            return node.attr
        is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
        return CLASSES.get(node.attr.lstrip("_")) if is_own else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = class_of(node.func.value)
        return node.func.attr if owner == "trt" else GIVES.get(f"{owner}.{node.func.attr}")
    return None


def names_used(tree: ast.AST) -> Iterator[str]:
    """Every name of TensorRT in a source, such as "trt.Builder" and "IBuilderConfig.set_flag"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = class_of(node.value)
            if owner is not None and not node.attr.startswith("__"):
                yield f"{owner}.{node.attr}"
        if isinstance(node, ast.ClassDef):  # What TensorRT calls back must be called as it calls it.
            methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            for base in filter(None, map(class_of, node.bases)):
                yield from (f"{base}.{method}" for method in methods if not method.startswith("_"))


def badly_named(tree: ast.AST) -> Iterator[str]:
    """Variables that hold something of TensorRT under a name that does not say so."""
    for node in ast.walk(tree):
        pairs = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            pairs = [(node.optional_vars, node.context_expr)]
        for target, value in pairs:
            made = class_of(value) if isinstance(value, ast.Call) else None
            if made is not None and class_of(target) != made:
                yield f"{ast.unparse(target)} is {made}"


def is_in_every_version(name: str) -> bool:
    owner, _, attribute = name.partition(".")
    return attribute in (NAMES if owner == "trt" else NAMES.get(owner, ()))


def complaints(source: str) -> set[str]:
    """What is wrong with a source."""
    tree = ast.parse(source)
    used = set(names_used(tree))
    unknown = {name for name in used - RTX_ONLY if not is_in_every_version(name)}
    makers = {name for name in used - GIVES.keys() - GIVES_A_NUMBER if name.partition(".")[2].startswith(MAKERS)}
    return unknown | makers | set(badly_named(tree))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_name_is_in_every_version(path):
    assert complaints(path.read_text(encoding="utf-8")) == set()


def test_the_reader_sees_what_the_package_uses():
    used = {name for path in SOURCES for name in names_used(ast.parse(path.read_text(encoding="utf-8")))}
    assert used >= RTX_ONLY
    assert used >= {
        "trt.Builder",
        "trt.ILogger",
        "ILogger.log",
        "IProgressMonitor.step_complete",
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
        "Builder.build_serialized_network",
        "IBuilderConfig.profiling_verbosity",
        "IOptimizationProfile.set_shape",
        "ITimingCache.serialize",
        "ParserError.desc",
        "ICudaEngine.create_engine_inspector",
        "ICudaEngine.device_memory_size_v2",
        "IExecutionContext.set_device_memory",
        "IExecutionContext.set_optimization_profile_async",
        "ExecutionContextAllocationStrategy.USER_MANAGED",
        "EngineInspector.get_engine_information",
    }


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("builder.build_engine_quickly(network)", "Builder.build_engine_quickly"),
        ("trt.BuilderConfiguration()", "trt.BuilderConfiguration"),
        ("flavour.module.Bulider(build_log)", "trt.Bulider"),
        ("config.set_flag(trt.BuilderFlag.FP16)", "BuilderFlag.FP16"),  # 11 has none.
        ("trt.IInt8EntropyCalibrator2()", "trt.IInt8EntropyCalibrator2"),
        ("parser.supports_model(model)", "OnnxParser.supports_model"),
        ("config.get_timing_cache().write(path)", "ITimingCache.write"),
        ("self._engine.device_memory_size", "ICudaEngine.device_memory_size"),
        ("class M(trt.IProgressMonitor):\n    def step_done(self): ...", "IProgressMonitor.step_done"),
        ("built = builder.create_network(1)", "built is INetworkDefinition"),
        ("with trt.Runtime(logger) as started: ...", "started is Runtime"),
        ("x = network.get_layer(0)", "INetworkDefinition.get_layer"),
        ("context.is_capturable(stream)", "IExecutionContext.is_capturable"),
        ("kernels = self._runtime_config.create_runtime_cache()", "kernels is IRuntimeCache"),
        ("runtime_cache.load(blob)", "IRuntimeCache.load"),
    ],
)
def test_a_name_that_some_version_lacks_or_that_hides_its_class_is_found_out(source, complaint):
    assert complaint in complaints(source)


def test_the_names_of_tensorrt_for_rtx_alone_are_there():
    trt = pytest.importorskip("tensorrt_rtx")
    for name in RTX_ONLY:
        owner, _, attribute = name.partition(".")
        assert hasattr(trt if owner == "trt" else getattr(trt, owner), attribute), name
        assert not is_in_every_version(name), f"{name} is no longer for RTX alone"
