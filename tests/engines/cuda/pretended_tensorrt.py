"""A module of TensorRT with as much as is called, on the recording driver: without a GPU none loads a real engine.

It is as strict as the documentation allows: a context without its profile, its memory or its addresses does not start,
a refusal is a False, and an object that goes while work is queued is a fault.
"""

from types import SimpleNamespace

import numpy as np

SIDE = 16
ACTIVATIONS = 4096  # Bytes that a context needs.


class Context:
    """Scores a frame by its first byte, and its map is every first channel."""

    def __init__(self, module, user_managed):
        self.module, self.driver = module, module.driver
        self.record = {"addresses": {}, "profiles": [], "memory": None, "user_managed": user_managed}
        self.shape = None
        module.records.append(self.record)

    def __del__(self):
        self.module.gone.append(self.driver.is_busy())

    def set_device_memory(self, address, size):
        assert size >= ACTIVATIONS
        assert len(self.driver.memory[address]) >= size
        self.record["memory"] = address

    def set_optimization_profile_async(self, index, stream):
        if "profile" in self.module.refuses:
            return False
        self.record["profiles"].append((index, stream))
        self.driver.compute(stream, lambda: None)
        return True

    def set_tensor_address(self, name, address):
        if name in self.module.refuses:
            return False
        self.record["addresses"][name] = address
        return True

    def set_input_shape(self, name, shape):
        assert name == "frames"
        if shape[0] in self.module.refuses:
            return False
        self.shape = shape
        return True

    def is_stream_capturable(self, stream):
        self.module.asked += 1
        return "capture" not in self.module.refuses

    def execute_async_v3(self, stream):
        capturing = self.driver._capturing is not None
        if self.record in self.module.stopped or (capturing and "silent capture" in self.module.refuses):
            self.module.logger.log(1, "[runner.cpp] Error\n Code 9: it is stopped")
            return False
        assert self.record["profiles"], "a context runs without its profile"
        assert self.record["user_managed"] == (self.record["memory"] is not None)
        count, shape, addresses = self.shape[0], self.shape, dict(self.record["addresses"])
        self.module.kernels.add(count)
        memory = self.driver.memory  # And not self: what is captured would keep the context.

        def work():
            size = int(np.prod(shape))
            frames = memory[addresses["frames"]][:size].reshape(shape)
            scores = frames[:, 0, 0, 0].astype(np.float32)
            maps = frames[..., 0].astype(np.float32)
            memory[addresses["score"]][: 4 * count] = scores.view(np.uint8)
            memory[addresses["anomaly_map"]][: maps.nbytes] = maps.reshape(-1).view(np.uint8)

        self.driver.compute(stream, work)
        return True


class RuntimeCache:
    """The kernels of TensorRT for RTX: the sizes of batches that were compiled."""

    def __init__(self, module):
        self.module = module

    def deserialize(self, blob):
        if not bytes(blob).startswith(self.module.environment):
            return False
        self.module.kernels |= set(bytes(blob)[len(self.module.environment) :])
        self.module.loaded = set(self.module.kernels)
        return True

    def serialize(self):
        self.module.serialized += 1
        return self.module.environment + bytes(sorted(self.module.kernels))


class RuntimeConfig:
    """A runtime configuration of TensorRT for RTX."""

    def __init__(self, module):
        self.module = module
        self.dynamic_shapes_kernel_specialization_strategy = "LAZY"
        self.allocation, self.cache = "STATIC", None

    def create_runtime_cache(self):
        return RuntimeCache(self.module)

    def set_runtime_cache(self, cache):
        self.cache = cache
        return "cache" not in self.module.refuses

    def set_execution_context_allocation_strategy(self, strategy):
        self.allocation = strategy


class Engine:
    """An engine that is loaded; the standard flavour's has no runtime configuration."""

    device_memory_size_v2 = ACTIVATIONS

    def __init__(self, module):
        self.module, self.num_io_tensors = module, len(module.tensors)

    def get_tensor_name(self, index):
        return list(self.module.tensors)[index]

    def get_tensor_dtype(self, name):
        return SimpleNamespace(name=self.module.tensors[name][0])

    def get_tensor_shape(self, name):
        return self.module.tensors[name][1]

    def get_tensor_mode(self, name):
        return "INPUT" if name == "frames" else "OUTPUT"

    def create_runtime_config(self):
        assert self.module.is_rtx
        self.module.configs.append(RuntimeConfig(self.module))
        return self.module.configs[-1]

    def create_execution_context(self, *config):
        assert self.module.is_rtx == bool(config)
        assert not config or config[0] is self.module.configs[-1]
        if len(self.module.records) == self.module.most_contexts:
            return None
        return Context(self.module, bool(config) and config[0].allocation == "USER_MANAGED")


class Pretended:
    """The module.

    Args:
        driver: The recording one.
        loads: Whether it takes the engine.
        contexts: That there is room for.
        is_rtx: Whether it is TensorRT for RTX.
        refuses: What is answered with False: "profile", "capture", "silent capture", "cache", a tensor, a batch size.

    Attributes:
        records: What each context was given.
        gone: For each context that went, whether work was queued by then.
        stopped: The records of contexts that start no more.
    """

    class ILogger:
        pass

    class TensorIOMode:
        INPUT = "INPUT"

    class ExecutionContextAllocationStrategy:
        USER_MANAGED = "USER_MANAGED"

    class DynamicShapesKernelSpecializationStrategy:
        EAGER = "EAGER"

    def __init__(self, driver, loads=True, contexts=100, is_rtx=True, refuses=(), environment=b"this GPU:"):
        self.driver, self.loads, self.most_contexts, self.is_rtx = driver, loads, contexts, is_rtx
        self.refuses, self.environment = refuses, environment
        self.records, self.configs, self.gone, self.stopped = [], [], [], []
        self.kernels, self.loaded = set(), set()
        self.asked = self.serialized = 0
        self.logger = None
        self.tensors = {}  # By name: data type and shape.
        self.of_batch(1)

    def of_batch(self, batch):
        """Gives its engines the tensors of the contract; -1 is a batch of any size."""
        shapes = {"frames": (batch, SIDE, SIDE, 3), "score": (batch,), "anomaly_map": (batch, SIDE, SIDE)}
        self.tensors = {name: ("UINT8" if name == "frames" else "FLOAT", shape) for name, shape in shapes.items()}

    def Runtime(self, logger):  # noqa: N802
        self.logger = logger
        return self

    def deserialize_cuda_engine(self, blob):
        return Engine(self) if self.loads else None
