"""Files that no export would be, and what refuses them before a back end sees them."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgekd.engines.opening as opening
from edgekd.engines import open_engine
from edgekd.engines.build_plan import BuildChoices, plan_build
from edgekd.engines.graph_check import check_graph, known_operators
from edgekd.errors import ArtifactError

from .hand_made import described, graph, grey_frame, save

FLOAT_SCALAR = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [])


def subgraph():
    """The body of an operator with a graph inside: one constant."""
    value = helper.make_node("Constant", [], ["inner"], value=numpy_helper.from_array(np.float32(1)))
    return helper.make_graph([value], "body", [], [FLOAT_SCALAR])


@pytest.fixture
def no_back_end(monkeypatch):
    """Fails where a back end is opened."""

    def opened(*_):
        raise AssertionError("a back end saw the file")

    monkeypatch.setattr(opening, "BACKENDS", dict.fromkeys(opening.BACKENDS, opened))


def refused(model, folder, message, **changes):
    path = save(model, folder, **changes)
    for backend in ("openvino", "onnxruntime", None):
        with pytest.raises(ArtifactError, match=message) as raised:
            open_engine(path, backend)
        assert "\n" not in str(raised.value)
    return path


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_what_is_made_by_hand_by_the_contract_opens(tmp_path, backend):
    with open_engine(save(graph(), tmp_path), backend) as engine:
        outputs = engine.infer(grey_frame(7)[None])
    assert outputs.scores.tolist() == [7.0]
    assert not outputs.faults


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Loop", {"body": subgraph()}),
        ("Scan", {"body": subgraph(), "num_scan_inputs": 1}),
        ("If", {"then_branch": subgraph(), "else_branch": subgraph()}),
        ("NonZero", {}),
        ("RandomNormalLike", {}),
        ("ConstantOfShape", {}),
        ("Expand", {}),
    ],
)
def test_an_operator_that_no_export_holds_is_named_and_refused(tmp_path, no_back_end, operator, attributes):
    node = helper.make_node(operator, ["grey"], ["more"], **attributes)
    message = rf"x\.onnx was refused: it holds the operator {operator}; take the file of edgekd export"
    refused(graph([node]), tmp_path, message)


def test_an_operator_of_another_domain_is_refused_though_its_name_is_known(tmp_path, no_back_end):
    node = helper.make_node("Relu", ["grey"], ["more"], domain="com.example")
    refused(graph([node]), tmp_path, r"the operator Relu of com\.example")


@pytest.mark.parametrize("many", [False, True])
def test_a_graph_hidden_in_an_attribute_of_a_known_operator_is_refused(tmp_path, no_back_end, many):
    node = helper.make_node("Relu", ["grey"], ["more"], hidden=[subgraph()] if many else subgraph())
    refused(graph([node]), tmp_path, "a graph inside its operator Relu")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("Pad", ["grey"], ["more"]), "Pad without the inputs that it needs"),
        (helper.make_node("Relu", [], ["more"]), "Relu without the inputs that it needs"),
        (helper.make_node("Clip", ["", "grey"], ["more"]), "Clip without the inputs that it needs"),
        (helper.make_node("Resize", ["grey"], ["more"]), "Resize without the inputs that it needs"),
        (helper.make_node("TopK", ["grey", "pixels"], ["more"]), "TopK without an output"),
        (helper.make_node("Relu", ["grey"], [""]), "Relu without an output"),
        (helper.make_node("Relu", ["later"], ["more"]), "Relu that reads 'later', which nothing before it makes"),
        (helper.make_node("Relu", ["more"], ["more"]), "Relu that reads 'more', which nothing before it makes"),
        (helper.make_node("Relu", ["frames"], ["grey"]), "'grey' made twice"),
    ],
)
def test_operators_without_their_inputs_or_outputs_are_refused(tmp_path, no_back_end, node, message):
    refused(graph([node]), tmp_path, message)


@pytest.mark.parametrize("versions", [[], [1 << 40], [0], [-1], [17, 1 << 40]])
def test_operators_of_an_absurd_version_are_refused(tmp_path, no_back_end, versions):
    model = graph()
    del model.opset_import[:]
    model.opset_import.extend(helper.make_operatorsetid("", version) for version in versions)
    refused(model, tmp_path, "operators of version")


def test_functions_and_training_of_a_model_are_refused(tmp_path, no_back_end):
    model = graph()
    relu = helper.make_node("Relu", ["a"], ["b"])
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], [relu], [helper.make_opsetid("", 18)]))
    refused(model, tmp_path, "functions or training of its own")
    model = graph()
    model.training_info.add()
    refused(model, tmp_path, "functions or training of its own")


def external(tensor):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")


@pytest.mark.parametrize("where", ["an initializer", "a constant", "without saying so"])
def test_weights_in_another_file_are_refused(tmp_path, no_back_end, where):
    (tmp_path / "w.bin").write_bytes(bytes(4))
    node = helper.make_node("Add", ["grey", "weight"], ["anomaly_map"])
    if where == "a constant":
        constant = helper.make_node("Constant", [], ["weight"], value=numpy_helper.from_array(np.float32([1])))
        external(constant.attribute[0].t)
        model = graph([constant, node])
    else:
        model = graph([node], {"weight": np.float32([1])})
        external(model.graph.initializer[-1])
        if where == "without saying so":
            model.graph.initializer[-1].data_location = TensorProto.DEFAULT
    refused(model, tmp_path, "weights outside itself .*, which no hash covers")


def test_sparse_weights_are_refused(tmp_path, no_back_end):
    values, indices = numpy_helper.from_array(np.float32([1]), "w"), numpy_helper.from_array(np.array([0]))
    sparse = helper.make_sparse_tensor(values, indices, [1 << 40])
    model = graph()
    model.graph.sparse_initializer.append(sparse)
    refused(model, tmp_path, "sparse weights")
    node = helper.make_node("Constant", [], ["w"], sparse_value=sparse)
    refused(graph([node]), tmp_path, "sparse weights")


@pytest.mark.parametrize(
    ("dims", "message"),
    [([1 << 40], "without its values"), ([-1], "a negative dimension"), ([2], "without its values")],
)
@pytest.mark.parametrize("raw", [True, False])
def test_weights_that_claim_more_than_the_file_holds_are_refused(tmp_path, no_back_end, dims, message, raw):
    model = graph([helper.make_node("Add", ["grey", "weight"], ["anomaly_map"])])
    data = {"raw_data": bytes(4)} if raw else {"float_data": [1.0]}
    model.graph.initializer.append(TensorProto(name="weight", data_type=1, dims=dims, **data))
    refused(model, tmp_path, f"weight .*{message}")


def test_frames_and_tensors_of_an_absurd_size_are_refused(tmp_path, no_back_end):
    refused(graph(side=1 << 17), tmp_path, "must be at most 16384, got 131072")  # By the manifest.
    model = graph()
    model.graph.value_info.append(helper.make_tensor_value_info("grey", 1, [1, 1 << 30, 1 << 30]))
    refused(model, tmp_path, "grey of .*, more than 268435456 values")


def test_paddings_and_resizes_by_an_absurd_size_are_refused(tmp_path, no_back_end):
    pad = helper.make_node("Pad", ["grey", "amounts"], ["more"])
    refused(
        graph([pad], {"amounts": np.array([0, 0, 0, 0, 0, 1 << 40])}), tmp_path, r"Pad by 1\.09951e\+12, more than 512"
    )
    resize = helper.make_node("Resize", ["grey", "", "scales"], ["more"])
    for scale in (1e9, np.nan):
        refused(graph([resize], {"scales": np.float32([1, 1, scale])}), tmp_path, "Resize by .*, more than 64")
    resize = helper.make_node("Resize", ["grey", "", "", "sizes"], ["more"])
    refused(graph([resize], {"sizes": np.array([1, 1 << 16, 1 << 16])}), tmp_path, r"Resize by 4\.29497e\+09, more")
    conv = helper.make_node("AveragePool", ["grey"], ["more"], kernel_shape=[1, 1], pads=[0, 0, 1 << 30, 0])
    refused(graph([conv]), tmp_path, "AveragePool with pads beyond 512 pixels")


def renamed(model, old, new):
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    return model


def other_type(model, name):
    for value in (*model.graph.input, *model.graph.output):
        if value.name == name:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return model


def without_an_output(model):
    del model.graph.output[0]
    return model


def with_another_input(model):
    model.graph.input.append(helper.make_tensor_value_info("more", 1, [1]))
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: renamed(model, "frames", "images"), r"takes images uint8 \[1, 16, 16, 3\] instead of frames"),
        (lambda model: renamed(model, "score", "scores"), r"returns anomaly_map .* and scores .* instead of"),
        (lambda model: other_type(model, "frames"), r"takes frames float64 \[1, 16, 16, 3\] instead of frames uint8"),
        (lambda model: other_type(model, "anomaly_map"), r"returns anomaly_map float64"),
        (without_an_output, r"returns anomaly_map float32 \[1, 16, 16\] instead of anomaly_map float32 .* and score"),
        (with_another_input, "takes frames .* and more float32"),
    ],
)
def test_other_inputs_and_outputs_than_the_contracts_are_refused(tmp_path, no_back_end, change, message):
    refused(change(graph()), tmp_path, message)


def test_a_manifest_of_other_frames_than_the_graphs_is_refused(tmp_path, no_back_end):
    larger = described(1, 32)
    refused(graph(), tmp_path, r"takes frames uint8 \[1, 16, 16, 3\] instead of frames uint8 \[1, 32", **larger)
    refused(graph(batch="n"), tmp_path, r"takes frames uint8 \[any, 16", **described(1, 16))


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_what_a_back_end_finds_the_outputs_to_be_counts_and_not_what_the_file_declares(tmp_path, backend):
    twice = helper.make_node("Concat", ["grey", "grey"], ["anomaly_map"], axis=1)
    with pytest.raises(ArtifactError, match=r"x\.onnx"):
        open_engine(save(graph([twice]), tmp_path), backend)


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x09", b"<?xml version='1.0'?><net/>", bytes(100)])
def test_what_is_no_graph_is_refused(tmp_path, no_back_end, content):
    refused(content, tmp_path, r"cannot load .*x\.onnx: ")


def test_damaged_graphs_are_refused_in_one_line_or_are_harmless(tmp_path, no_back_end):
    pad = helper.make_node("Pad", ["grey", "amounts"], ["more"])
    conv = helper.make_node("AveragePool", ["grey"], ["pooled"], kernel_shape=[1, 1], pads=[0, 0, 1, 0])
    constant = helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.float32([1])))
    content = graph([pad, conv, constant], {"amounts": np.array([0, 0, 0, 0, 0, 1])}).SerializeToString()
    path, rng, messages = save(graph(), tmp_path), np.random.default_rng(0), []
    manifest = json.loads(path.with_suffix(".json").read_text())
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(0, len(damaged), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged[: len(damaged) if rng.random() < 0.7 else rng.integers(0, len(damaged))])
        try:
            check_graph(path.read_bytes(), path, manifest)
        except ArtifactError as error:
            messages.append(str(error))
    assert len(messages) > 150
    assert all(message.isprintable() for message in messages)


def test_graphs_nested_beyond_all_bounds_are_refused(tmp_path, no_back_end):
    content = b""
    for _ in range(20_000):  # A sub-graph in an attribute of a node of a sub-graph, and so on.
        for number in (6, 5, 1):
            content = bytes([number << 3 | 2]) + varint(len(content)) + content
    refused(b"\x3a" + varint(len(content)) + content, tmp_path, r"x\.onnx")


def varint(number):
    parts = bytearray()
    while True:
        parts.append(number & 127 | (128 if number > 127 else 0))
        number >>= 7
        if not number:
            return bytes(parts)


def test_names_that_are_no_text_are_printed_safely(tmp_path, no_back_end):
    node = helper.make_node("Relu", ["grey"], ["more"])
    content = graph([node]).SerializeToString().replace(b"Relu", b"\x1b[1m", 1)
    path = refused(content, tmp_path, r"the operator \\x1b\[1m")
    assert path.is_file()


def test_the_hash_is_checked_before_the_graph(tmp_path, no_back_end):
    path = save(graph(), tmp_path)
    path.write_bytes(graph([helper.make_node("NonZero", ["grey"], ["more"])]).SerializeToString())
    with pytest.raises(ArtifactError, match="SHA-256 differs"):
        open_engine(path)


def test_a_graph_that_is_built_is_checked_too(tmp_path):
    path = save(graph([helper.make_node("NonZero", ["grey"], ["more"])]), tmp_path)
    with pytest.raises(ArtifactError, match="the operator NonZero"):
        plan_build(path, BuildChoices(backend="openvino"))


def test_the_inventory_holds_what_every_system_and_precision_needs_and_nothing_that_loops_or_grows():
    assert {"Conv", "Erf", "DepthToSpace", "TopK", "QuantizeLinear", "DequantizeLinear", "Shape"} <= known_operators()
    assert not known_operators() & {"Loop", "If", "Scan", "ConstantOfShape", "Expand", "Tile", "Range"}
