"""Graphs as OpenVINO is to compile them for the CPU: computing the same, without what its kernels are slow at."""

from __future__ import annotations

from typing import Any

from edgekd.engines.runtimes import import_openvino

# A convolution of signed bytes that pads by more than one column takes 1.5 to 1.7 times as long once its output is
# wider than this (oneDNN in OpenVINO 2026.4, AVX-512 VNNI). The same of a map that was padded before does not.
WIDEST_PADDED = 128
WIDEST_PADDING = 1
SIGNED = "i8"


def read_for_cpu(core: Any, graph: bytes) -> Any:
    """Reads a graph for the CPU, where wide INT8 maps are padded before they are quantized.

    A border of 0 is quantized to 0, so that the convolutions have the same sums.

    Args:
        core: OpenVINO's.
        graph: The content of the .onnx file.

    Returns:
        OpenVINO's model.

    Raises:
        RuntimeError: OpenVINO does not take the graph.
    """
    model = core.read_model(graph, b"")
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution" and _is_wide_and_padded(node):
            quantizer = _signed_quantizer(node)
            if quantizer is not None:
                _pad_before(quantizer, node)
    model.validate_nodes_and_infer_types()
    return model


def _is_wide_and_padded(convolution: Any) -> bool:
    attributes, width = convolution.get_attributes(), convolution.get_output_partial_shape(0)[3]
    padding = max(attributes["pads_begin"][1], attributes["pads_end"][1])
    return bool(padding > WIDEST_PADDING and width.is_static and width.get_length() > WIDEST_PADDED)


def _signed_quantizer(convolution: Any) -> Any:
    """What quantizes the input of a convolution, and of nothing else, to signed bytes; None where nothing does."""
    node, signed = convolution.input_value(0).get_node(), False
    while node.get_type_name() in ("Convert", "Subtract", "Multiply") and _has_one_reader(node):
        signed = signed or node.get_output_element_type(0).get_type_name() == SIGNED
        node = node.input_value(0).get_node()
    is_quantizer = node.get_type_name() == "FakeQuantize" and _has_one_reader(node)
    return node if is_quantizer and signed else None


def _has_one_reader(node: Any) -> bool:
    return len(node.output(0).get_target_inputs()) == 1


def _pad_before(quantizer: Any, convolution: Any) -> None:
    """Moves the padding of a convolution to before its input is quantized."""
    attributes = convolution.get_attributes()
    before, after = ([0, 0, *attributes[name]] for name in ("pads_begin", "pads_end"))
    padded = import_openvino().opset13.pad(quantizer.input_value(0), before, after, "constant", 0.0)
    padded.set_friendly_name(f"{convolution.get_friendly_name()}/pad")
    quantizer.input(0).replace_source_output(padded.output(0))
    for name in ("pads_begin", "pads_end"):
        convolution.set_attribute(name, [0, 0])
