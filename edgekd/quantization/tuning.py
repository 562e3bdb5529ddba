"""Layers that INT8 makes slower on this machine: they are timed in float, in turn with the graph as it is.

Where a layer computes little with each number, changing numbers to INT8 and back can cost more than it saves. Which
layers these are depends on the processor, so they are found by measuring. One small layer changes the time of a graph
by less than chance does; so layers that compute as much with each number, all depthwise ones for instance, are tried
together.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx

from edgekd.engines.openvino import cpu_options
from edgekd.engines.openvino_graphs import read_for_cpu
from edgekd.engines.runtimes import import_openvino
from edgekd.quantization.layers import Layer
from edgekd.quantization.running import batch_of

PAIRS = 60  # Inferences of either graph in a comparison,
SECONDS = 0.6  # or so many seconds of them.
WARM_UP = 3
WORTH = 0.985  # Of the time, at most, that leaving layers in float must bring the graph to: less is chance.

Build = Callable[[Sequence[Layer]], onnx.ModelProto]
OnStep = Callable[[int, int], None]  # With the groups of layers tried so far, and all.


class Tuned(NamedTuple):
    """What was found.

    Attributes:
        kept: The layers that stay in INT8.
        in_float: Names of those that are faster in float.
        time_ratio: Time of the graph with these in float over that of the graph before, taken in turn; 1 where there
            are none.
    """

    kept: list[Layer]
    in_float: list[str]
    time_ratio: float


def leave_slow_in_float(
    build: Build, layers: Sequence[Layer], threads: int, on_step: OnStep = lambda done, of: None
) -> Tuned:
    """Finds the layers that make the graph faster in float, in OpenVINO on this CPU.

    Args:
        build: Makes the graph with these layers in INT8.
        layers: Those in INT8 so far.
        threads: That compute an inference.
        on_step: Called as it advances.
    """
    kept, in_float, groups = list(layers), [], groups_alike(layers)
    first = best = TimedGraph(build(kept), threads)
    for done, group in enumerate(groups):
        on_step(done, len(groups))
        rest = [layer for layer in kept if layer not in group]
        candidate = TimedGraph(build(rest), threads)
        if time_ratio(candidate, best) <= WORTH:
            kept, best = rest, candidate
            in_float += [layer.name for layer in group]
    on_step(len(groups), len(groups))
    return Tuned(kept, in_float, time_ratio(best, first) if in_float else 1.0)


def groups_alike(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Layers that compute as much for each number that they give, the least first; the one with the most work in none.

    Args:
        layers: The most work, which is what INT8 is for, stays in it.
    """
    largest = max(layers, key=lambda layer: layer.macs)
    groups: dict[int, list[Layer]] = {}
    for layer in layers:
        if layer is not largest:
            groups.setdefault(layer.macs // layer.outputs, []).append(layer)
    return [groups[macs] for macs in sorted(groups)]


class TimedGraph:
    """A graph that is compiled and warm, to be timed.

    Args:
        model: The graph.
        threads: That compute an inference.
    """

    def __init__(self, model: onnx.ModelProto, threads: int) -> None:
        core = import_openvino().Core()
        compiled = core.compile_model(read_for_cpu(core, model.SerializeToString()), "CPU", cpu_options(threads))
        shape = [side.dim_value or batch_of(model) for side in model.graph.input[0].type.tensor_type.shape.dim]
        self._request: Any = compiled.create_infer_request()
        self._frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for _ in range(WARM_UP):
            self.seconds()

    def seconds(self) -> float:
        """How long an inference takes now."""
        start = time.perf_counter()
        self._request.infer([self._frames])
        return time.perf_counter() - start


def time_ratio(graph: TimedGraph, other: TimedGraph) -> float:
    """The median of one graph's times over another's, taken in turn: what else the machine does then falls on both."""
    ratios: list[float] = []
    start = time.perf_counter()
    while len(ratios) < PAIRS and (len(ratios) < WARM_UP or time.perf_counter() - start < SECONDS):
        if len(ratios) % 2:
            ratios.append(graph.seconds() / other.seconds())
        else:
            before = other.seconds()
            ratios.append(graph.seconds() / before)
    return statistics.median(ratios)
