import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.errors import EdgekdError
from edgekd.quantization.running import run_graph
from edgekd.quantization.splitting import split_concatenated


def reading_concatenations(model):
    """The names of the weights of convolutions that read concatenations."""
    concatenations = {node.output[0] for node in model.graph.node if node.op_type == "Concat"}
    return {node.input[1] for node in model.graph.node if node.op_type == "Conv" and node.input[0] in concatenations}


def weight_of(model, node):
    return next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == node.input[1])


def test_no_convolution_but_the_gates_reads_a_concatenation_any_more(float_graph):
    gates = {f"network.student.cbams.{width}.spatial.weight" for width in (128, 256)}
    assert reading_concatenations(float_graph) > gates
    assert reading_concatenations(split_concatenated(float_graph)) == gates


def test_the_split_graph_says_the_same(float_graph, unseen):
    before, after = (run_graph(model, unseen).maps for model in (float_graph, split_concatenated(float_graph)))
    assert np.abs(after - before).max() < 1e-5 * (before.max() - before.min())


def test_concatenations_of_concatenations_are_split_too():
    random = np.random.default_rng(0)
    weight = random.standard_normal((4, 6, 3, 3)).astype(np.float32)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 5, 5]) for name in "abc"]
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["ab"], axis=1),
        helper.make_node("Concat", ["ab", "c"], ["abc"], axis=1),
        helper.make_node("Conv", ["abc", "w.weight"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 3, 3])],
        [numpy_helper.from_array(weight, "w.weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    split = split_concatenated(model)
    assert [node.op_type for node in split.graph.node if node.op_type == "Conv"] == ["Conv"] * 3
    assert not any(node.op_type == "Concat" for node in split.graph.node)

    import onnxruntime

    given = {name: random.standard_normal((1, 2, 5, 5)).astype(np.float32) for name in "abc"}
    before, after = (
        onnxruntime.InferenceSession(one.SerializeToString()).run(None, given)[0] for one in (model, split)
    )
    assert np.abs(after - before).max() < 1e-5


def test_a_part_whose_width_is_not_known_gets_what_is_left():
    weight = np.arange(4 * 6, dtype=np.float32).reshape(4, 6, 1, 1)
    parts = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 2, 5, 5])]
    parts.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, ["n", "channels", 5, 5]))
    nodes = [
        helper.make_node("Concat", ["b", "a"], ["ba"], axis=1),
        helper.make_node("Conv", ["ba", "w.weight"], ["y"]),
    ]
    output = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", parts, output, [numpy_helper.from_array(weight, "w.weight")])
    split = split_concatenated(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    first, second = (weight_of(split, node) for node in split.graph.node if node.op_type == "Conv")
    assert np.array_equal(first, weight[:, :4])
    assert np.array_equal(second, weight[:, 4:])


def test_two_parts_whose_widths_are_not_known_are_refused():
    weight = numpy_helper.from_array(np.zeros((4, 6, 1, 1), np.float32), "w.weight")
    parts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", name, 5, 5]) for name in "ab"]
    nodes = [
        helper.make_node("Concat", ["b", "a"], ["ba"], axis=1),
        helper.make_node("Conv", ["ba", "w.weight"], ["y"]),
    ]
    output = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", parts, output, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    with pytest.raises(EdgekdError, match="the widths of b, a are not known: export with --batch 1"):
        split_concatenated(model)
