"""Running a graph that is still in memory, to look at its tensors or to see what a change to it does.

Q/DQ are computed as the graph states, in float: an INT8 kernel differs from it by the order of additions only.
float16 is widened before it is rounded to INT8, because ONNX Runtime before 1.30 truncates it on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgekd.engines import Frames
from edgekd.engines.runtimes import import_onnxruntime
from edgekd.quantization.editing import copy_of, replace_nodes


class GraphOutputs(NamedTuple):
    """Raw scores float32 [N] and raw maps float32 [N, H, W]."""

    scores: NDArray[np.float32]
    maps: NDArray[np.float32]


def open_session(model: onnx.ModelProto) -> Any:
    """An ONNX Runtime session of a graph, with all cores."""
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    graph = _rounded_from_float32(model).SerializeToString()
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _rounded_from_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with every QuantizeLinear of float16 preceded by a cast to float32, in which its values are exact."""
    halves = {value.name: value for value in model.graph.initializer if value.data_type == TensorProto.FLOAT16}
    if not any(node.op_type == "QuantizeLinear" and node.input[1] in halves for node in model.graph.node):
        return model
    widened, nodes = copy_of(model), []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[1] in halves:
            value, scale = f"{node.output[0]}_float32", f"{node.output[0]}_scale_float32"
            wide = numpy_helper.to_array(halves[node.input[1]]).astype(np.float32)
            widened.graph.initializer.append(numpy_helper.from_array(wide, scale))
            nodes.append(helper.make_node("Cast", [node.input[0]], [value], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("QuantizeLinear", [value, scale, *node.input[2:]], list(node.output)))
        else:
            nodes.append(node)
    replace_nodes(widened.graph, nodes)
    return widened


def run_graph(model: onnx.ModelProto, frames: Frames) -> GraphOutputs:
    """A graph's outputs for frames.

    Args:
        model: With any batch.
        frames: uint8 [N, H, W, 3], BGR.
    """
    outputs = list(run_batches(open_session(model), batch_of(model), ["score", "anomaly_map"], frames))
    return GraphOutputs(*(np.concatenate(parts) for parts in zip(*outputs, strict=True)))


def tensors_of(model: onnx.ModelProto, names: Sequence[str], frames: Frames) -> Iterator[list[NDArray[np.float32]]]:
    """Tensors inside a graph, batch by batch.

    Args:
        model: Not changed.
        names: Of the tensors.
        frames: uint8 [N, H, W, 3], BGR.

    Yields:
        The tensors of the next frames, in the order of `names`.
    """
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    yield from run_batches(open_session(opened), batch_of(opened), list(names), frames)


def batch_of(model: onnx.ModelProto) -> int:
    """The batch that a graph is run with: its own, or 1 where it takes any."""
    return model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1


def run_batches(
    session: Any,
    batch: int,
    names: Sequence[str],
    frames: Frames,
) -> Iterator[list[NDArray[np.float32]]]:
    """A session's outputs for frames, batch by batch; a last one that is not full is filled up and cut off again.

    Args:
        session: Of `open_session`.
        batch: That its graph takes.
        names: Of the tensors that are wanted, whose first dimension is the batch.
        frames: uint8 [N, H, W, 3], BGR.

    Yields:
        The tensors of the next frames, in the order of `names`.
    """
    for part, count in in_batches(frames, batch):
        yield [output[:count] for output in session.run(list(names), {"frames": part})]


def in_batches(frames: Frames, batch: int) -> Iterator[tuple[Frames, int]]:
    """Batches of frames and how many of each are meant; the last is filled up with its last frame."""
    for index in range(0, len(frames), batch):
        part = frames[index : index + batch]
        missing = batch - len(part)
        yield (np.concatenate([part, np.repeat(part[-1:], missing, 0)]) if missing else part), len(part)
