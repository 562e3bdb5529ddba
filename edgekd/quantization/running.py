"""Running a graph that is still in memory, to look at its tensors or to see what a change to it does.

Q/DQ are computed as the graph says, in float: what an INT8 kernel gives differs from it by the order of additions only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.engines import Frames


class GraphOutputs(NamedTuple):
    """Raw scores float32 [N] and raw maps float32 [N, H, W]."""

    scores: NDArray[np.float32]
    maps: NDArray[np.float32]


def open_session(model: onnx.ModelProto) -> Any:
    """An ONNX Runtime session of a graph, with all cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_graph(model: onnx.ModelProto, frames: Frames) -> GraphOutputs:
    """What a graph says of frames.

    Args:
        model: With a free batch, or one that divides the frames.
        frames: uint8 [N, H, W, 3], BGR.
    """
    answers = list(_run(model, ["score", "anomaly_map"], frames))
    return GraphOutputs(*(np.concatenate(parts) for parts in zip(*answers, strict=True)))


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
    yield from _run(opened, list(names), frames)


def _run(model: onnx.ModelProto, names: list[str], frames: Frames) -> Iterator[list[NDArray[np.float32]]]:
    session = open_session(model)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    for index in range(0, len(frames), batch):
        part = frames[index : index + batch]
        missing = batch - len(part)
        padded = np.concatenate([part, np.repeat(part[-1:], missing, 0)]) if missing else part
        yield [answer[: len(part)] for answer in session.run(names, {"frames": padded})]
