"""TensorRT's engine on the recording driver, with a runtime that only pretends: without a GPU none loads a real one.

What is checked is what ours does: which memory, profiles, addresses and shapes a context gets, on which stream it is
started, and what a refusal becomes. That TensorRT has the names is checked by test_tensorrt_names.py, that it answers
right by tests/gpu.
"""

import hashlib
import logging

import numpy as np
import pytest

import edgekd.engines.tensorrt.engine as engine_module
import edgekd.engines.tensorrt.progress as progress
from edgekd.engines.cuda.driver import CudaError, Device, NoSuchGpuError, no_such_gpu
from edgekd.engines.tensorrt.engine import SLOTS, TensorRTEngine
from edgekd.engines.tensorrt.flavours import Flavour
from edgekd.errors import ArtifactError, EdgekdError, MachineError
from edgekd.runner import Frame, inspect_stream
from edgekd.verdicts.limits import Limits

from .pretended_tensorrt import ACTIVATIONS, SIDE, Pretended
from .recording_driver import RecordingDriver

UUID = "GPU-00112233-4455-6677-8899-aabbccddeeff"


def manifest(batch=1, is_rtx=True, **record):
    record = {
        "flavour": "tensorrt-rtx" if is_rtx else "tensorrt",
        "version": "1.7.1.116",
        "compute_capabilities": ["8.9"],
        "onnx": "x.onnx",
        "command": "edgekd build x.onnx",
        "largest_batch": batch if isinstance(batch, int) else 3,
        **record,
    }
    return {
        "engine": record,
        "sha256": hashlib.sha256(b"engine").hexdigest(),
        "inputs": {"frames": {"shape": [batch, SIDE, SIDE, 3]}},
    }


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache folder, and a log in which nothing was said yet."""
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(progress, "_logged", set())
    return tmp_path / "cache" / "tensorrt_rtx"


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Opens an engine on a driver, with a module."""
    path = tmp_path / "x.engine"
    path.write_bytes(b"engine")

    def open_on(driver, module, batch=1, capability="8.9", record=(), tensors=None, **options):
        name = "tensorrt-rtx" if module.is_rtx else "tensorrt"
        if tensors is None:
            module.of_batch(batch if isinstance(batch, int) else -1)
        else:
            module.tensors = tensors
        driver.device = Device("Pretended", capability, "13.0", 1 << 33, options.get("device", 0), UUID)
        monkeypatch.setattr(engine_module, "open_driver", lambda index: driver)
        monkeypatch.setattr(engine_module, "load_flavour", lambda _: Flavour(name, "1.7.1.116", module))
        return TensorRTEngine(path, manifest(batch, module.is_rtx, **dict(record)), **options)

    return open_on


def frame(number, count=1):
    return np.full((count, SIDE, SIDE, 3), number, np.uint8)


def numbered(count):
    return [Frame(str(number), lambda n=number: frame(n)[0]) for number in range(count)]


def warnings(caplog):
    return [(entry.name, entry.getMessage()) for entry in caplog.records if entry.levelno >= logging.WARNING]


TENSORS = {
    "frames": ("UINT8", (1, SIDE, SIDE, 3)),
    "score": ("FLOAT", (1,)),
    "anomaly_map": ("FLOAT", (1, SIDE, SIDE)),
}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"frames": ("FLOAT", (1, SIDE, SIDE, 3))}, r"takes frames float32 \[1, 16, 16, 3\] instead of frames uint8"),
        ({"score": ("FLOAT", (2,))}, r"returns anomaly_map .* and score float32 \[2\] instead of"),
        ({"anomaly_map": ("HALF", (1, SIDE, SIDE))}, "returns anomaly_map half"),
        ({"more": ("FLOAT", (1,))}, r"and more float32 \[1\]"),
    ],
)
def test_an_engine_of_other_tensors_than_the_contracts_is_refused(opened, other, message):
    driver = RecordingDriver()
    with pytest.raises(ArtifactError, match=message):
        opened(driver, Pretended(driver), tensors=TENSORS | other)
    assert not driver.live


@pytest.mark.parametrize("is_rtx", [True, False])
@pytest.mark.parametrize("user_allocation", [True, False])
def test_a_stream_goes_through_every_slots_own_context(opened, is_rtx, user_allocation):
    driver = RecordingDriver(seed=5)
    module = Pretended(driver, is_rtx=is_rtx)
    with opened(driver, module, record={"user_allocation": user_allocation}) as engine:
        assert (engine.spec.device, engine.spec.batch) == ("Pretended (8.9)", 1)
        assert engine.spec.backend == ("tensorrt-rtx" if is_rtx else "tensorrt")
        assert engine.cuda_graphs == "off: nothing has run yet"
        answers = list(inspect_stream(engine, numbered(40), Limits(19.5)))
        assert engine.cuda_graphs == "on"
    assert [answer.result.score for answer in answers] == list(range(40))
    assert len({record["addresses"]["frames"] for record in module.records}) == SLOTS
    assert all(set(record["addresses"]) == {"frames", "score", "anomaly_map"} for record in module.records)
    assert driver.live == set()


def test_one_runtime_configuration_compiles_eagerly_and_is_shared_by_all_slots(opened):
    driver = RecordingDriver()
    module = Pretended(driver)
    with opened(driver, module, batch="batch", slots=3) as engine:
        engine.infer(frame(1, 2))
        (config,) = module.configs
        assert config.dynamic_shapes_kernel_specialization_strategy == "EAGER"
        assert config.cache is not None
        assert config.allocation == "STATIC"
        assert len(module.records) == 3


def test_an_engine_that_allocates_nothing_gets_memory_for_each_context_from_the_driver(opened):
    driver = RecordingDriver()
    module = Pretended(driver)
    with opened(driver, module, record={"user_allocation": True}):
        addresses = {record["memory"] for record in module.records}
        assert len(addresses) == SLOTS
        assert {len(driver.memory[address]) for address in addresses} == {ACTIVATIONS}
    assert driver.live == set()


def test_each_context_gets_the_first_profile_on_its_own_stream_and_the_stream_is_drained(opened):
    driver = RecordingDriver()
    module = Pretended(driver)
    with opened(driver, module, batch="batch") as engine:
        assert not driver.is_busy()
        profiles = [profile for record in module.records for profile in record["profiles"]]
        assert profiles == [(0, driver.address_of(slot.stream)) for slot in engine._ring.slots]


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("profile", r"refuses the optimization profile for this engine \(it gives no reason\): build it again"),
        ("score", "refuses the memory of score for this engine"),
    ],
)
def test_what_a_context_refuses_at_the_start_is_one_line_and_nothing_is_left(opened, refused, message):
    driver = RecordingDriver()
    module = Pretended(driver, refuses=(refused,))
    with pytest.raises(ArtifactError, match=message):
        opened(driver, module)
    assert driver.live == set()
    assert module.gone == [False] * SLOTS


def test_a_batch_that_tensorrt_refuses_is_that_batchs_error(opened):
    driver = RecordingDriver()
    with opened(driver, Pretended(driver, refuses=(2,)), batch="batch") as engine:
        for _ in range(SLOTS + 1):
            with pytest.raises(ArtifactError, match="refuses a batch of 2 for this engine"):
                engine.infer(frame(1, 2))
        assert engine.infer(frame(5, 3)).scores.tolist() == [5, 5, 5]


def test_a_free_batch_sets_the_shape_of_each_batch(opened):
    driver = RecordingDriver()
    with opened(driver, Pretended(driver), batch="batch") as engine:
        for count in (1, 3, 2):
            frames = np.stack([frame(10 + index)[0] for index in range(count)])
            outputs = engine.infer(frames)
            assert outputs.scores.tolist() == [10, 11, 12][:count]
            assert outputs.anomaly_maps.shape == (count, SIDE, SIDE)
        with pytest.raises(ArtifactError, match="takes 3 frames at most, got 4"):
            engine.infer(frame(0, 4))


def test_an_inference_that_does_not_start_is_that_frames_error_with_tensorrts_reason(opened, caplog):
    driver = RecordingDriver()
    module = Pretended(driver)
    with opened(driver, module) as engine:
        engine.infer(frame(0))
        module.stopped.append(module.records[1])
        with pytest.raises(CudaError, match=r"could not start the inference: \[runner.cpp\] Error Code 9: it is st"):
            engine.infer(frame(0))
        assert engine.broken is None
        assert engine.infer(frame(3)).scores == [3]
    assert warnings(caplog) == [("edgekd.tensorrt", "[runner.cpp] Error Code 9: it is stopped")]


def test_what_tensorrt_for_rtx_says_of_capturing_is_asked_first(opened):
    driver = RecordingDriver()
    module = Pretended(driver, refuses=("capture",))
    with opened(driver, module, slots=1) as engine:
        assert engine.infer(frame(3)).scores == [3]
        assert (module.asked, "capture" in driver.log) == (1, False)
        assert engine.cuda_graphs.startswith(
            "off: TensorRT for RTX cannot capture this engine, as it was built without"
        )


def test_a_capture_that_tensorrt_spoils_tells_its_reason(opened):
    driver = RecordingDriver()
    with opened(driver, Pretended(driver, is_rtx=False, refuses=("silent capture",)), slots=1) as engine:
        assert engine.infer(frame(3)).scores == [3]
        assert engine.cuda_graphs.endswith("could not start the inference: [runner.cpp] Error Code 9: it is stopped")


def test_an_engine_that_does_not_load_is_one_line_and_nothing_is_left(opened):
    driver = RecordingDriver()
    with pytest.raises(ArtifactError, match=r"TensorRT cannot load .*x\.engine: it gives no reason; build it again"):
        opened(driver, Pretended(driver, loads=False))
    assert driver.live == set()


def test_a_gpu_without_room_for_its_slots_is_one_line_that_names_the_option(opened):
    driver = RecordingDriver()
    module = Pretended(driver, contexts=2)
    with pytest.raises(MachineError, match=r"has no room for x\.engine .*give fewer with --slots \(now 4\), or close"):
        opened(driver, module)
    assert driver.live == set()


def test_a_gpu_without_room_for_buffers_is_the_same_line(opened):
    driver = RecordingDriver(room=5000)
    with pytest.raises(MachineError, match=r"has no room for x\.engine \(CUDA's allocate failed.*--slots \(now 4\)"):
        opened(driver, Pretended(driver))
    assert driver.live == set()


def test_a_gpu_without_room_for_one_slot_does_not_advise_fewer(opened):
    driver = RecordingDriver(room=0)
    with pytest.raises(MachineError, match=r"OUT OF MEMORY\): close what else runs on it$"):
        opened(driver, Pretended(driver), slots=1)


@pytest.mark.parametrize("slots", [1, 2, 7])
def test_slots_are_as_many_as_asked_for(opened, slots):
    driver = RecordingDriver()
    module = Pretended(driver)
    with opened(driver, module, slots=slots) as engine:
        assert engine.slots == len(module.records) == slots
        assert [engine.acquire() is not None for _ in range(slots + 1)] == [True] * slots + [False]


@pytest.mark.parametrize("slots", [0, -1])
def test_no_slots_are_refused(opened, slots):
    driver = RecordingDriver()
    with pytest.raises(EdgekdError, match=f"^--slots must be 1 or more, got {slots}$"):
        opened(driver, Pretended(driver), slots=slots)
    assert driver.log == []


def test_the_gpu_that_is_asked_for_is_opened_and_told(opened, monkeypatch):
    driver = RecordingDriver()
    with opened(driver, Pretended(driver), device=1) as engine:
        assert (engine.spec.gpu_index, engine.spec.gpu_uuid) == (1, UUID)


def test_a_gpu_that_is_not_there_is_told_as_it_is(monkeypatch, tmp_path):
    def refuse(index):
        raise no_such_gpu(index, 2)

    monkeypatch.setattr(engine_module, "open_driver", refuse)
    with pytest.raises(NoSuchGpuError, match=r"^there is no cuda:3: this machine has 2 GPUs, cuda:0 to cuda:1$"):
        TensorRTEngine(tmp_path / "x.engine", manifest(), device=3)


@pytest.mark.parametrize("call", range(0, 56, 3))
def test_a_fault_while_starting_leaves_nothing(opened, call):
    driver = RecordingDriver(fails_at=call)
    module = Pretended(driver)
    with pytest.raises(CudaError, match="INJECTED"):
        opened(driver, module, record={"user_allocation": True})
    assert driver.live == set()
    assert not any(module.gone)


def test_one_for_another_gpu_is_refused_before_it_is_loaded(opened):
    driver = RecordingDriver()
    module = Pretended(driver)
    module.Runtime = None
    with pytest.raises(ArtifactError, match=r"is for compute capability 8\.9 and this GPU has 12\.0: build it again"):
        opened(driver, module, capability="12.0")
    assert driver.live == set()


# Closing


@pytest.mark.parametrize("seed", range(4))
def test_closing_waits_for_what_is_under_way_before_contexts_and_memory_go(opened, seed):
    driver = RecordingDriver(seed)
    module = Pretended(driver)
    engine = opened(driver, module, record={"user_allocation": True})
    for number in range(SLOTS):
        engine.infer(frame(number))
    for number in range(SLOTS):
        engine.submit(frame(number))
    assert driver.is_busy()
    engine.close()
    assert module.gone == [False] * SLOTS
    assert driver.live == set()


def test_a_closed_engine_refuses_everything_in_one_line(opened):
    driver = RecordingDriver()
    engine = opened(driver, Pretended(driver))
    acquired, other, ticket = engine.acquire(), engine.acquire(), engine.submit(frame(1))
    acquired[:] = 9
    engine.close()
    calls = len(driver.log)
    for refused in (
        lambda: engine.submit(acquired),
        lambda: engine.submit(frame(1)),
        lambda: engine.release(other),
        lambda: engine.collect(ticket),
        engine.acquire,
        lambda: engine.infer(frame(1)),
    ):
        with pytest.raises(EdgekdError, match=r"^this engine is closed: open it again$"):
            refused()
    assert np.all(acquired == 9)  # Still memory, of nobody else.
    assert len(driver.log) == calls
    engine.close()


# The kernels that are kept


def only_file(cache):
    (path,) = cache.iterdir()
    return path


def test_compiled_kernels_are_kept_after_the_first_inference_and_found_at_the_next_start(opened, cache):
    first = Pretended(RecordingDriver())
    with opened(first.driver, first, batch="batch") as engine:
        assert not cache.exists()
        engine.infer(frame(1, 2))
        assert only_file(cache).read_bytes().endswith(b"this GPU:\x02")
        written = only_file(cache).stat().st_mtime_ns
        for _ in range(3 * SLOTS):
            engine.infer(frame(1, 2))
        assert only_file(cache).stat().st_mtime_ns == written
        assert first.serialized == 1
        engine.submit(frame(1, 3))
    assert only_file(cache).read_bytes().endswith(b"this GPU:\x02\x03")
    second = Pretended(RecordingDriver())
    with opened(second.driver, second, batch="batch"):
        assert second.loaded == {2, 3}


def test_an_engine_that_ran_nothing_writes_no_kernels(opened, cache):
    module = Pretended(RecordingDriver())
    opened(module.driver, module).close()
    assert not cache.exists()


def test_another_gpu_driver_version_or_engine_has_a_file_of_its_own(cache):
    from edgekd.engines.tensorrt.runtime_cache import runtime_cache_path

    device = Device("A", "8.9", "13.0", 1, 0, UUID)
    paths = {
        runtime_cache_path("ab" * 32, device, "1.7"),
        runtime_cache_path("cd" * 32, device, "1.7"),
        runtime_cache_path("ab" * 32, device, "1.8"),
        runtime_cache_path("ab" * 32, device._replace(driver="13.1"), "1.7"),
        runtime_cache_path("ab" * 32, device._replace(uuid=UUID.replace("00", "ff")), "1.7"),
        runtime_cache_path("ab" * 32, device._replace(uuid=""), "1.7"),
        runtime_cache_path("ab" * 32, device._replace(uuid="", name="B"), "1.7"),
    }
    assert len(paths) == 7
    assert {path.parent for path in paths} == {cache}
    assert runtime_cache_path("ab" * 32, device._replace(index=1), "1.7") in paths  # Its place does not matter.


@pytest.mark.parametrize("damage", [lambda old: old[:-1], lambda old: b"", lambda old: old[:40] + b"x" + old[41:]])
def test_damaged_kernels_are_dropped_with_one_line_and_written_anew(opened, cache, caplog, damage):
    first = Pretended(RecordingDriver())
    with opened(first.driver, first) as engine:
        engine.infer(frame(1))
    path = only_file(cache)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    second = Pretended(RecordingDriver())
    with opened(second.driver, second) as engine:
        assert second.loaded == set()
        assert engine.infer(frame(2)).scores == [2]
    assert [name for name, _ in warnings(caplog)] == ["edgekd.tensorrt"]
    assert "are damaged: they are compiled again" in warnings(caplog)[0][1]
    assert path.read_bytes() == whole


def test_kernels_that_tensorrt_refuses_are_dropped_with_one_line(opened, cache, caplog):
    first = Pretended(RecordingDriver(), environment=b"an older driver:")
    with opened(first.driver, first) as engine:
        engine.infer(frame(1))
    second = Pretended(RecordingDriver())
    with opened(second.driver, second) as engine:
        assert engine.infer(frame(2)).scores == [2]
    assert [text.partition(".bin ")[2] for _, text in warnings(caplog)] == [
        "are of another GPU, driver or TensorRT: they are compiled again"
    ]
    assert only_file(cache).read_bytes().endswith(b"this GPU:\x01")


def test_a_folder_that_cannot_be_written_costs_one_line_and_no_answer(opened, cache, caplog):
    cache.parent.write_text("a file where the folder should be")
    module = Pretended(RecordingDriver())
    with opened(module.driver, module, batch="batch") as engine:
        for count in (1, 2, 3):
            assert engine.infer(frame(4, count)).scores.tolist() == [4] * count
    ((_, unkept),) = warnings(caplog)
    assert unkept.startswith("the compiled kernels are not kept, and the next start compiles them again: cannot write")


def test_a_tensorrt_that_takes_no_cache_runs_all_the_same(opened, cache, caplog):
    module = Pretended(RecordingDriver(), refuses=("cache",))
    with opened(module.driver, module) as engine:
        assert engine.infer(frame(1)).scores == [1]
    assert not cache.exists()
    assert len(warnings(caplog)) == 1


def test_the_standard_flavour_keeps_no_kernels(opened, cache):
    module = Pretended(RecordingDriver(), is_rtx=False)
    with opened(module.driver, module) as engine:
        engine.infer(frame(1))
    assert not cache.exists()
    assert module.serialized == 0


# What TensorRT says


def test_each_line_of_tensorrt_reaches_the_log_once(opened, caplog):
    module = Pretended(RecordingDriver())
    with opened(module.driver, module):
        for _ in range(3):
            module.logger.log(2, "CUDA lazy loading\n   is not enabled.")
            module.logger.log(1, "an error")
            module.logger.log(3, "of no interest")
    assert [(entry.levelname, entry.getMessage()) for entry in caplog.records] == [
        ("WARNING", "CUDA lazy loading is not enabled."),
        ("ERROR", "an error"),
    ]


def test_severities_are_tensorrts_own():
    trt = pytest.importorskip("tensorrt_rtx")
    assert (int(trt.ILogger.ERROR), int(trt.ILogger.WARNING)) == (progress.ERROR, progress.WARNING)
    assert progress.logged_once(trt.ILogger.WARNING, "a\n warning") == "a warning"
    assert progress.logged_once(trt.ILogger.INFO, "an information") is None
