"""Layers as the back ends execute them, on a trained detector in float and in INT8, and floors worked by hand."""

import numpy as np
import pytest

from edgekd.artifact import read_manifest
from edgekd.engines import open_engine
from edgekd.engines.openvino import cpu_options
from edgekd.profiling import openvino_layers
from edgekd.profiling.bandwidth import _last_level_cache, _past_the_cache, memory_bandwidth
from edgekd.profiling.layer_times import profile_layers
from edgekd.profiling.layers import Layer, sum_of_floors, time_over_floor, with_floors
from edgekd.profiling.onnxruntime_layers import read_trace

from ..run_command import main

CONVOLUTION = Layer("a", "Convolution", "w", "fp32", 2_000_000, 40_000, 5.0)


@pytest.fixture
def quantized(every_precision):
    """The trained detector in INT8."""
    return every_precision / "detector_int8.onnx"


def profile(artifact, backend):
    with open_engine(artifact, backend, threads=1) as engine:
        return profile_layers(artifact, engine.spec, 0.05)


def test_openvinos_layers_hold_the_macs_of_the_graph(exported):
    found = profile(exported, "openvino")
    assert sum(layer.macs for layer in found.layers) == read_manifest(exported)["macs"]
    assert {layer.precision for layer in found.layers if layer.macs} == {"fp32"}
    assert sum(layer.time_ms for layer in found.layers) > 0
    assert (found.batch, found.inferences >= 5) == (1, True)


def test_the_layers_of_an_engine_with_streams_are_timed_on_the_threads_of_one_stream(exported, monkeypatch):
    threads = []
    monkeypatch.setattr(openvino_layers, "cpu_options", lambda count: threads.append(count) or cpu_options(count))
    for streams in (1, 2):
        with open_engine(exported, "openvino", threads=2, streams=streams) as engine:
            assert profile_layers(exported, engine.spec, 0.05).layers
    assert threads == [2, 1]


def test_openvinos_layers_are_called_after_the_modules_that_they_came_from(exported):
    layers = profile(exported, "openvino").layers
    parts = ("student.", "teacher.", "difference.")
    # The resize of the map, two products, is the network's own.
    others = [layer.name for layer in layers if layer.macs and not layer.name.startswith(parts)]
    assert sorted(name.split("_")[-1] for name in others) == ["across", "down"]
    assert all(name.startswith("node_upsample") for name in others)
    assert any(layer.name.startswith("student.convolutions.1/") and layer.macs for layer in layers)
    assert not [layer.name for layer in layers if layer.name.startswith("Multiply_")]


def test_those_of_int8_hold_the_same_and_say_what_computes_in_bytes(exported, quantized):
    layers = profile(quantized, "openvino").layers
    macs = dict.fromkeys(("fp32", "int8"), 0)
    for layer in layers:
        macs[layer.precision] = macs.get(layer.precision, 0) + layer.macs
    assert sum(macs.values()) == read_manifest(quantized)["macs"] == read_manifest(exported)["macs"]
    assert macs["int8"] > macs["fp32"]
    by_weights = {layer.weights: layer for layer in layers}
    assert by_weights["network.student.convolutions.1.weight"].precision == "int8"


def test_a_layers_bytes_are_those_of_what_it_reads_and_writes(exported):
    first = next(
        layer
        for layer in profile(exported, "openvino").layers
        if layer.weights == "network.student.convolutions.0.weight"
    )
    # 64 pixels a side, 3 channels in, 128 out, a kernel of 4 without padding: 61 a side; weights and biases.
    read, weights, written = 3 * 64 * 64, 128 * 3 * 4 * 4 + 128, 128 * 61 * 61
    assert first.bytes_moved == 4 * (read + weights + written)
    assert first.macs == 128 * 61 * 61 * 3 * 4 * 4


def test_onnxruntimes_layers_hold_the_macs_of_the_graph_and_those_on_padding(exported):
    found = profile(exported, "onnxruntime")
    macs = read_manifest(exported)["macs"]
    assert macs <= sum(layer.macs for layer in found.layers) < 1.1 * macs
    assert all(layer.bytes_moved is not None for layer in found.layers)
    assert found.inferences >= 3


def test_an_engine_of_openvino_is_profiled_too(exported, tmp_path):
    output = tmp_path / "cpu.engine"
    assert main(["build", str(exported), "--backend", "openvino", "--output", str(output)]) == 0
    assert sum(layer.macs for layer in profile(output, None).layers) == read_manifest(exported)["macs"]


def test_a_free_batch_is_profiled_for_one_frame(exported, tmp_path):
    output = tmp_path / "free.onnx"
    assert main(["export", str(exported.parent), "--batch", "dynamic", "--output", str(output)]) == 0
    for backend in ("openvino", "onnxruntime"):
        found = profile(output, backend)
        macs = read_manifest(output)["macs"]
        assert found.batch == 1
        assert macs <= sum(layer.macs for layer in found.layers) < 1.1 * macs


def test_the_floor_is_the_longer_of_computing_and_moving():
    layers = [
        CONVOLUTION,
        CONVOLUTION._replace(name="b", precision="int8", time_ms=4.0),
        CONVOLUTION._replace(name="c", macs=0, bytes_moved=80_000, time_ms=2.0),
    ]
    # 2e6 MACs at 1e9 a second: 2 ms; at 8e9: 0.25 ms. 40,000 bytes at 4e7 a second: 1 ms.
    told = with_floors(layers, {"fp32": 1e9, "int8": 8e9}, 4e7)
    assert [(row["name"], row["bound"]) for row in told] == [("a", "compute"), ("b", "memory"), ("c", "memory")]
    assert [row["floor_ms"] for row in told] == pytest.approx([2.0, 1.0, 2.0])
    assert [row["floor_share"] for row in told] == pytest.approx([0.4, 0.25, 1.0])
    assert [row["time_over_floor"] for row in told] == pytest.approx([2.5, 4.0, 1.0])
    assert sum_of_floors(told) == pytest.approx(5.0)
    assert time_over_floor(11.0, sum_of_floors(told)) == pytest.approx(2.2)


@pytest.mark.parametrize(
    ("layer", "peaks", "bandwidth"),
    [
        (CONVOLUTION._replace(macs=None), {"fp32": 1e9}, 4e7),
        (CONVOLUTION._replace(bytes_moved=None), {"fp32": 1e9}, 4e7),
        (CONVOLUTION, {"int8": 1e9}, 4e7),
        (CONVOLUTION, {"fp32": 1e9}, None),
    ],
)
def test_where_a_limit_is_not_known_no_floor_is_claimed(layer, peaks, bandwidth):
    [row] = with_floors([layer], peaks, bandwidth)
    assert [row[name] for name in ("floor_ms", "floor_share", "time_over_floor", "bound")] == [None] * 4
    [known] = with_floors([CONVOLUTION], {"fp32": 1e9}, 4e7)
    assert sum_of_floors([known, row]) is None
    assert time_over_floor(10.0, sum_of_floors([known, row])) is None
    assert row["time_ms"] == 5.0


def event(name, duration, kind="Conv", **more):
    told = {
        "node_index": name,
        "op_name": kind,
        "input_type_shape": [{"float": [1, 3, 8, 8]}, {"float": [16, 3, 3, 3]}],
        "output_type_shape": [{"float": [1, 16, 6, 6]}],
    }
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": duration, "args": told | more}


def test_a_trace_gives_medians_without_the_first_run():
    [layer] = read_trace(
        [event("a", 9000), {"cat": "Session", "name": "x"}, *(event("a", 1000 * n) for n in (1, 2, 4))]
    )
    assert (layer.name, layer.kind, layer.time_ms, layer.macs) == ("a", "Conv", 2.0, 16 * 36 * 27)
    assert layer.bytes_moved == 4 * (3 * 64 + 16 * 27 + 16 * 36)


def test_what_a_trace_cannot_tell_is_not_known():
    odd = [{"tensor(string)": [4]}]
    [attention, strings] = read_trace([event("a", 1, "Attention"), event("b", 1, "Cast", input_type_shape=odd)])
    assert attention.macs is None
    assert (strings.macs, strings.bytes_moved) == (0, None)


def test_the_kernels_of_quantized_graphs_find_their_weights():
    inputs = [{"uint8": [1, 3, 8, 8]}, {"float": []}, {"uint8": []}, {"int8": [16, 3, 3, 3]}]
    [layer] = read_trace([event("a", 1, "QLinearConv", input_type_shape=inputs)])
    assert (layer.precision, layer.macs) == ("int8", 16 * 36 * 27)


def test_bandwidth_counts_three_arrays_a_pass(monkeypatch):
    ticks = iter(np.arange(0.0, 100.0, 0.5))
    monkeypatch.setattr("edgekd.profiling.bandwidth.time.perf_counter", lambda: next(ticks))
    assert memory_bandwidth(0.1, array_bytes=4000) == pytest.approx(3 * 4000 / 0.5)


def test_the_arrays_do_not_fit_in_the_cache():
    assert 3 * _past_the_cache() > _last_level_cache() or _past_the_cache() == 512 << 20
