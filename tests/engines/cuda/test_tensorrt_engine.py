"""TensorRT's engine on the recording driver, with a runtime that only pretends: without a GPU none loads a real one.

What is checked is what ours does: which addresses and shapes a context gets, on which stream it is started, and what a
refusal becomes. That TensorRT has the names is checked by test_tensorrt_names.py, that it answers right by tests/gpu.
"""

from types import SimpleNamespace

import numpy as np
import pytest

import edgekd.engines.tensorrt.engine as engine_module
from edgekd.engines.cuda.driver import CudaError, Device
from edgekd.engines.tensorrt.engine import SLOTS, TensorRTEngine
from edgekd.engines.tensorrt.flavours import Flavour
from edgekd.errors import ArtifactError, MachineError
from edgekd.runner import Frame, inspect_stream

from .recording_driver import RecordingDriver

SIDE = 16


class Context:
    """Scores a frame by its first byte; fails where the frame is 13 and that is asked for."""

    def __init__(self, driver):
        self.driver, self.addresses, self.shape, self.refuses = driver, {}, None, False

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def set_input_shape(self, name, shape):
        assert name == "frames"
        self.shape = shape

    def execute_async_v3(self, stream):
        if self.refuses:
            return False
        count, shape, addresses = self.shape[0], self.shape, dict(self.addresses)

        def work():
            size = int(np.prod(shape))
            frames = self.driver.memory[addresses["frames"]][:size].reshape(shape)
            scores = frames[:, 0, 0, 0].astype(np.float32)
            maps = frames[..., 0].astype(np.float32)
            self.driver.memory[addresses["score"]][: 4 * count] = scores.view(np.uint8)
            self.driver.memory[addresses["anomaly_map"]][: maps.nbytes] = maps.reshape(-1).view(np.uint8)

        self.driver.compute(stream, work)
        return True


class Pretended:
    """A TensorRT module with as much as is called."""

    def __init__(self, driver, loads=True, contexts=SLOTS):
        self.contexts = [Context(driver) for _ in range(contexts)]
        left = list(self.contexts)
        engine = SimpleNamespace(create_execution_context=lambda: left.pop(0) if left else None)
        self.Logger = lambda severity: None
        self.Logger.ERROR = 1
        self.Runtime = lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda blob: engine if loads else None)


def manifest(batch=1):
    record = {
        "flavour": "tensorrt-rtx",
        "version": "1.7.1.116",
        "compute_capabilities": ["8.9"],
        "onnx": "x.onnx",
        "command": "edgekd build x.onnx",
        "largest_batch": batch if isinstance(batch, int) else 3,
    }
    return {"engine": record, "inputs": {"frames": {"shape": [batch, SIDE, SIDE, 3]}}}


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Opens an engine on a driver, with a module."""
    path = tmp_path / "x.engine"
    path.write_bytes(b"engine")

    def open_on(driver, module, batch=1, capability="8.9"):
        driver.device = Device("Pretended", capability, "13.0", 1 << 33)
        monkeypatch.setattr(engine_module, "open_driver", lambda index=0: driver)
        monkeypatch.setattr(engine_module, "load_flavour", lambda name: Flavour("tensorrt-rtx", "1.7.1.116", module))
        return TensorRTEngine(path, manifest(batch))

    return open_on


def numbered(count):
    return [Frame(str(number), lambda n=number: np.full((SIDE, SIDE, 3), n, np.uint8)) for number in range(count)]


def test_a_stream_goes_through_every_slots_own_context(opened):
    driver = RecordingDriver(seed=5)
    module = Pretended(driver)
    with opened(driver, module) as engine:
        assert (engine.spec.backend, engine.spec.device, engine.spec.batch) == ("tensorrt-rtx", "Pretended (8.9)", 1)
        answers = list(inspect_stream(engine, numbered(40), 19.5))
        assert engine.replays_graphs
    assert [answer.result.score for answer in answers] == list(range(40))
    assert len({context.addresses["frames"] for context in module.contexts}) == SLOTS
    assert all(set(context.addresses) == {"frames", "score", "anomaly_map"} for context in module.contexts)
    assert driver.live == set()


def test_a_free_batch_sets_the_shape_of_each_batch(opened):
    driver = RecordingDriver()
    with opened(driver, Pretended(driver), batch="batch") as engine:
        for count in (1, 3, 2):
            frames = np.stack([np.full((SIDE, SIDE, 3), 10 + index, np.uint8) for index in range(count)])
            outputs = engine.infer(frames)
            assert outputs.scores.tolist() == [10, 11, 12][:count]
            assert outputs.anomaly_maps.shape == (count, SIDE, SIDE)
        with pytest.raises(ArtifactError, match="takes 3 frames at most, got 4"):
            engine.infer(np.zeros((4, SIDE, SIDE, 3), np.uint8))


def test_an_inference_that_does_not_start_is_that_frames_error(opened):
    driver = RecordingDriver()
    module = Pretended(driver)
    with opened(driver, module) as engine:
        engine.infer(np.zeros((1, SIDE, SIDE, 3), np.uint8))
        module.contexts[1].refuses = True
        with pytest.raises(CudaError, match="TensorRT could not start the inference"):
            engine.infer(np.zeros((1, SIDE, SIDE, 3), np.uint8))
        assert engine.broken is None
        assert engine.infer(np.full((1, SIDE, SIDE, 3), 3, np.uint8)).scores == [3]


def test_an_engine_that_does_not_load_is_one_line_and_nothing_is_left(opened):
    driver = RecordingDriver()
    with pytest.raises(ArtifactError, match=r"TensorRT cannot load .*x\.engine: build it again"):
        opened(driver, Pretended(driver, loads=False))
    assert driver.live == set()


def test_a_gpu_without_room_for_its_slots_is_one_line_and_nothing_is_left(opened):
    driver = RecordingDriver()
    with pytest.raises(MachineError, match="has no room for"):
        opened(driver, Pretended(driver, contexts=2))
    assert driver.live == set()


@pytest.mark.parametrize("call", range(0, 40, 3))
def test_a_fault_while_starting_leaves_nothing(opened, call):
    driver = RecordingDriver(fails_at=call)
    with pytest.raises(CudaError, match="INJECTED"):
        opened(driver, Pretended(driver))
    assert driver.live == set()


def test_one_for_another_gpu_is_refused_before_it_is_loaded(opened):
    driver = RecordingDriver()
    module = Pretended(driver)
    module.Runtime = None
    with pytest.raises(ArtifactError, match=r"is for compute capability 8\.9 and this GPU has 12\.0: build it again"):
        opened(driver, module, capability="12.0")
    assert driver.live == set()
