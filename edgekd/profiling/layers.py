"""The time of each layer of an engine, beside the least that the device's measured limits allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from edgekd.backends import ONNXRUNTIME, OPENVINO

ROUNDS = 5  # Of equal length; a layer's time is the median over them.
HOW = {
    OPENVINO: "after the other measurements, compiled again with performance counters; a layer's time is the median "
    "of the means of {rounds} rounds, {inferences} inferences in all",
    ONNXRUNTIME: "after the other measurements, loaded again with profiling; a layer's time is the median of "
    "{inferences} inferences; its layouts pad channels, and MACs on padding count",
}


class Layer(NamedTuple):
    """A step that the back end executes.

    Attributes:
        name: The back end's name for it.
        kind: Its operation, such as "Convolution".
        weights: The name of its weights; None where it has none, or the back end does not report it.
        precision: "fp32", "fp16", "int8", or the back end's name for another.
        macs: Multiply-accumulates of its convolution or matrix product, 0 for other kinds; None where unknown.
        bytes_moved: Size of its inputs, weights and outputs, each counted once; None where unknown.
        time_ms: Time per inference, in milliseconds.
    """

    name: str
    kind: str
    weights: str | None
    precision: str
    macs: int | None
    bytes_moved: int | None
    time_ms: float


class Profile(NamedTuple):
    """The layers of an engine as they were executed.

    Attributes:
        layers: Those that took time or have MACs.
        batch: Frames per inference.
        inferences: How many were timed.
    """

    layers: list[Layer]
    batch: int
    inferences: int


def with_floors(layers: Iterable[Layer], peaks: Mapping[str, float], bandwidth: float | None) -> list[dict[str, Any]]:
    """Layers beside their floors: the least time that computing and moving take at the measured limits.

    Args:
        layers: As they were executed.
        peaks: Multiply-accumulates per second, by precision.
        bandwidth: Bytes per second; None where it was not measured.

    Returns:
        The slowest first: `name`, `kind`, `weights`, `precision`, `macs`, `bytes`, `time_ms`, `floor_ms`,
        `floor_share` (floor over time), `time_over_floor` and `bound` ("compute" or "memory"); the last four None
        where the floor is unknown.
    """
    rows = []
    for layer in sorted(layers, key=lambda layer: -layer.time_ms):
        floor, bound = _floor(layer, peaks, bandwidth)
        rows.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "weights": layer.weights,
                "precision": layer.precision,
                "macs": layer.macs,
                "bytes": layer.bytes_moved,
                "time_ms": layer.time_ms,
                "floor_ms": floor,
                "floor_share": floor / layer.time_ms if floor is not None and layer.time_ms else None,
                "time_over_floor": time_over_floor(layer.time_ms, floor),
                "bound": bound,
            }
        )
    return rows


def sum_of_floors(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The least time that the layers take together, in milliseconds.

    Args:
        rows: Layers beside their floors.

    Returns:
        None where there is no layer, or the floor of one is unknown.
    """
    floors = [row["floor_ms"] for row in rows]
    return sum(floors) if floors and None not in floors else None


def time_over_floor(time_ms: float | None, floor_ms: float | None) -> float | None:
    """How many times its floor a layer, or all together, take; None where one of the two is unknown.

    Args:
        time_ms: As it was measured.
        floor_ms: The least time.
    """
    return time_ms / floor_ms if time_ms is not None and floor_ms else None


def _floor(layer: Layer, peaks: Mapping[str, float], bandwidth: float | None) -> tuple[float | None, str | None]:
    """The floor in milliseconds and what sets it; None where a limit that it needs is unknown."""
    if layer.macs is None or layer.bytes_moved is None or bandwidth is None:
        return None, None
    if layer.macs and layer.precision not in peaks:
        return None, None
    compute = layer.macs / peaks[layer.precision] * 1e3 if layer.macs else 0.0
    memory = layer.bytes_moved / bandwidth * 1e3
    return (compute, "compute") if compute > memory else (memory, "memory")
