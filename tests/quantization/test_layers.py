import pytest

from edgekd.errors import EdgekdError
from edgekd.graph.macs import count_macs
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.layers import centred_frames, find_layers
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.splitting import split_concatenated


def test_layers_have_the_names_that_they_have_in_torch(float_graph):
    names = [layer.name for layer in find_layers(float_graph).quantizable]
    assert "student.convolutions.0" in names
    assert "teacher.3" in names
    assert len(names) == 7


def test_the_gates_of_attention_are_no_layers(float_graph):
    layers = find_layers(float_graph)
    assert sorted(layers.in_float) == sorted(
        f"student.cbams.{width}.{part}" for width in (128, 256) for part in ("excite", "spatial", "squeeze")
    )
    assert not {layer.name for layer in layers.quantizable} & set(layers.in_float)


def test_maps_that_attention_reads_are_known_by_their_layer(float_graph):
    layers = find_layers(float_graph)
    students = [layer.node for layer in layers.quantizable if layer.name.startswith("student.convolutions")]
    assert sorted(layers.attended) == sorted(students)


def test_centred_frames_are_what_the_first_layers_read(float_graph):
    first = {layer.activation for layer in find_layers(float_graph).quantizable if layer.name.endswith("s.0")}
    assert first == {centred_frames(float_graph)}


def test_a_graph_that_is_quantized_already_is_refused(float_graph):
    split = split_concatenated(float_graph)
    layers = find_layers(split).quantizable
    once = quantize(split, Scheme({layer.activation: 0.1 for layer in layers}), layers)
    for again in (find_layers, to_float16):
        with pytest.raises(EdgekdError, match="quantized already"):
            again(once)


def test_a_graph_that_is_float16_already_is_refused(float_graph):
    with pytest.raises(EdgekdError, match="float16 already"):
        find_layers(to_float16(float_graph))


def test_the_work_of_its_layers_is_the_graphs_but_for_gates(float_graph):
    layers = find_layers(float_graph)
    assert 0.99 * count_macs(float_graph) < sum(layer.macs for layer in layers.quantizable) <= count_macs(float_graph)
