"""Which layers INT8 hurts: each is tried alone, and as little as may be is left in float to keep the drift under D."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.engines import Frames
from edgekd.errors import DriftError
from edgekd.quantization.drift import map_noise
from edgekd.quantization.flips import MOST_FLIPPED, FindFlips, Flips
from edgekd.quantization.layers import Layer
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.running import run_graph

# Frames to rank on, those with the strongest maps: a graph is run on them for every candidate. What clips a layer is
# often in one of them alone, and on the others that layer looks like the best of all.
RANKED_ON = 4

GROUP = 8  # Candidates that are tried together first.
QUIET = 0.15  # Of the limit: what a group may give without being looked into.

# What leaving a layer in float costs besides its own work, as a share of the graph's: reading and writing its maps in
# float. Where attention reads a map, reading it again and again (the larger of HKT's: 5 of 65 ms).
COST_OF_MAPS = 0.01
COST_OF_ATTENDED_MAPS = 0.08

# Of the work, what an INT8 graph has in INT8: the change of colours alone, which rounds nothing, is under any limit.
LEAST_WORK = 0.01

OnStep = Callable[[int, int], None]  # With the candidates tried so far, and all.


class Sensitivity(NamedTuple):
    """What was found.

    Attributes:
        noise: Of the graph with all else in INT8; None where it was not looked at.
        in_float: The layers to leave in float, in the order in which they pay.
        maps_in_float: The layers whose maps, which attention reads, are not to be stored in INT8, in that order too.
        alone: By layer, and by "map of" a layer: the noise that rounding it alone gives to the frames that it was
            ranked on, largest first. What next to nothing together give is shared out among them.
        flips: Share of the verdicts that the graph with all else in INT8 flips; None where they were not looked at.
    """

    noise: float | None
    in_float: list[str]
    maps_in_float: list[str]
    alone: dict[str, float]
    flips: float | None = None


class Candidate(NamedTuple):
    """What INT8 can be for: a layer, or the map that it makes and attention reads.

    Attributes:
        layer: The layer.
        is_map: Whether its map is meant.
        cost: Of leaving it in float, as a share of the graph's work.
    """

    layer: Layer
    is_map: bool
    cost: float

    @property
    def name(self) -> str:
        return f"map of {self.layer.name}" if self.is_map else self.layer.name


def leave_least_in_float(
    model: onnx.ModelProto,
    layers: Sequence[Layer],
    scheme: Scheme,
    frames: Frames,
    max_drift: float,
    on_step: OnStep = lambda done, of: None,
    finish: Callable[[onnx.ModelProto], onnx.ModelProto] = lambda quantized: quantized,
    floor: float = 0.0,
    flips: FindFlips | None = None,
) -> Sensitivity:
    """Finds the layers and maps whose staying in float brings the noise under a limit at the least cost in speed.

    Noises add up by their squares, so candidates are left in the order of their own noise squared over what they cost
    in float: a knapsack filled greedily. What the last of them then leaves of the limit goes to those before it that
    fit into it. A network can be far more sensitive on some images than on those that the noise is measured on: where
    too many verdicts flip all the same, candidates are tried alone again, on the frames that change the most, and
    further ones are left in float. Where even that keeps too few verdicts, the graph is the one that the limit of noise
    asks for.

    Args:
        model: Float.
        layers: Of it.
        scheme: Of the whole graph.
        frames: To measure on, uint8 [N, H, W, 3], BGR.
        max_drift: The limit of `Drift.noise`.
        on_step: Called as it advances.
        finish: What is done to the quantized graph before it ships.
        floor: Noise that this gives without any INT8. It is in the noise of every candidate alone.
        flips: Finds the verdicts that a graph flips; None where they are not looked at.

    Raises:
        DriftError: The limit is not reached though hardly any work is left in INT8.
    """
    reference = run_graph(model, frames).maps

    strongest = np.sort(np.argsort(reference.std((1, 2)), kind="stable")[-RANKED_ON:])

    def graph_of(chosen: Sequence[Candidate]) -> onnx.ModelProto:
        return finish(quantize(model, *_parts(chosen, scheme)))

    def noise_of(chosen: Sequence[Candidate], at: slice | NDArray[np.intp] = slice(None)) -> float:
        return map_noise(reference[at], run_graph(graph_of(chosen), frames[at]).maps)

    candidates = _candidates(layers, scheme)
    noise = noise_of(candidates)
    kept: Sequence[Candidate] = candidates
    found = flips(graph_of(candidates)) if flips and noise <= max_drift else None
    if noise <= max_drift and (found is None or found.few):
        return Sensitivity(noise, [], [], {}, found and found.share)
    alone = _noises_alone(candidates, lambda chosen: noise_of(chosen, strongest), max_drift, on_step)
    if noise > max_drift:
        own = {name: math.sqrt(max(noise**2 - floor**2, 0.0)) for name, noise in alone.items()}
        left = _left_within(max_drift, _ranked(candidates, own), own, noise_of, on_step)
        kept = [each for each in candidates if each not in left]
        found = flips(graph_of(kept)) if flips else None
    share = found and found.share
    if flips and found and not found.few:
        kept, share = _with_verdicts(kept, LEAST_WORK * _work(candidates), found, flips, model, graph_of, on_step)
    in_float = [each for each in _ranked(candidates, alone) if each not in kept]
    return Sensitivity(
        noise_of(kept),
        [candidate.layer.name for candidate in in_float if not candidate.is_map],
        [candidate.layer.name for candidate in in_float if candidate.is_map],
        dict(sorted(alone.items(), key=lambda entry: entry[1], reverse=True)),
        share,
    )


def _ranked(candidates: Sequence[Candidate], own: Mapping[str, float]) -> list[Candidate]:
    """Candidates by their own noise squared over what they cost in float, those first that pay most there."""
    return sorted(candidates, key=lambda each: own[each.name] ** 2 / each.cost, reverse=True)


def _left_within(
    max_drift: float,
    ranked: Sequence[Candidate],
    own: Mapping[str, float],
    noise_of: Callable[[Sequence[Candidate]], float],
    on_step: OnStep,
) -> list[Candidate]:
    """What stays in float to bring the noise under the limit."""
    many, reached = fewest_from_the_first(ranked, noise_of, max_drift)
    tried = len(ranked)
    left, _ = given_back(
        ranked[:many],
        ranked[many:],
        reached,
        own,
        noise_of,
        max_drift,
        lambda done, of: on_step(tried + done, tried + of),
    )
    if _work([each for each in ranked if each not in left]) < LEAST_WORK * _work(ranked):
        raise DriftError(
            f"no INT8 graph drifts by {max_drift:g} or less with at least {LEAST_WORK:.0%} of the work in INT8: raise "
            "--max-drift, or train with --quantization-aware"
        )
    return left


def _with_verdicts(
    kept: Sequence[Candidate],
    least_work: float,
    found: Flips,
    flips: FindFlips,
    model: onnx.ModelProto,
    graph_of: Callable[[Sequence[Candidate]], onnx.ModelProto],
    on_step: OnStep,
) -> tuple[Sequence[Candidate], float]:
    """What stays in INT8 so that verdicts are kept, and the share that flips then; all of it where nothing helps.

    Args:
        kept: In INT8 so far.
        least_work: MACs that must stay in INT8.
        found: What that flips.
        flips: Finds the verdicts that a graph flips.
        model: Float.
        graph_of: Makes the graph with these candidates in INT8.
        on_step: Called as it advances.
    """
    frames = found.most_changed
    maps = run_graph(model, frames).maps

    def noise_of(chosen: Sequence[Candidate]) -> float:
        return map_noise(maps, run_graph(graph_of(chosen), frames).maps)

    enough = noise_of(kept) * MOST_FLIPPED / found.share  # The noise on these frames at which few flip, more or less.
    alone = _noises_alone(kept, noise_of, enough, on_step)
    ranked = _ranked(kept, alone)
    many, share = fewest_from_the_first(ranked, lambda chosen: flips(graph_of(chosen)).share, MOST_FLIPPED)
    return (ranked[many:], share) if _work(ranked[many:]) >= least_work else (kept, found.share)


def _work(candidates: Sequence[Candidate]) -> int:
    """MACs of the layers among them."""
    return sum(each.layer.macs for each in candidates if not each.is_map)


def fewest_from_the_first(
    ranked: Sequence[Candidate], noise_of: Callable[[Sequence[Candidate]], float], max_drift: float
) -> tuple[int, float]:
    """How many of the first candidates must stay in float to bring the noise under a limit, and the noise then.

    Args:
        ranked: Those first whose staying in float pays most.
        noise_of: The noise of the graph with some candidates in INT8, or whatever else is limited.
        max_drift: The limit.

    Returns:
        All, and infinity, where even one in INT8 is too much.
    """
    few, many = 0, len(ranked)  # `few` left in float is too little; `many`, all of them, is not an INT8 graph.
    reached = math.inf
    while many - few > 1:
        middle = (few + many) // 2
        noise = noise_of(ranked[middle:])
        if noise <= max_drift:
            many, reached = middle, noise
        else:
            few = middle
    return many, reached


def given_back(
    left: Sequence[Candidate],
    chosen: Sequence[Candidate],
    reached: float,
    alone: Mapping[str, float],
    noise_of: Callable[[Sequence[Candidate]], float],
    max_drift: float,
    on_step: OnStep = lambda done, of: None,
) -> tuple[list[Candidate], float]:
    """What stays in float once what fits into the rest of the limit is in INT8 after all, and the noise then.

    The last that was left in float often brings the noise far below the limit, because it is a large layer; then many
    small ones before it need not have been left.

    Args:
        left: In float so far, in the order in which they pay.
        chosen: In INT8 so far.
        reached: The noise of the graph.
        alone: The noise that each candidate adds alone, by its name.
        noise_of: The noise of the graph with some candidates in INT8.
        max_drift: The limit.
        on_step: Called with the candidates of `left` that were looked at so far, and all.
    """
    in_int8, waiting, at_once = list(chosen), list(reversed(left)), GROUP
    while group := _fitting(waiting, reached, alone, max_drift, at_once):
        noise = noise_of([*in_int8, *group])
        if noise <= max_drift:
            in_int8, reached = [*in_int8, *group], noise
        elif len(group) > 1:  # Noises may add up to more than was expected.
            at_once = len(group) // 2
            continue
        waiting = [each for each in waiting if each not in group]
        on_step(len(left) - len(waiting), len(left))
    on_step(len(left), len(left))
    return [each for each in left if each not in in_int8], reached


def _fitting(
    waiting: Sequence[Candidate], reached: float, alone: Mapping[str, float], max_drift: float, most: int
) -> list[Candidate]:
    """The first candidates that are expected to fit into what is left of a limit, at most so many."""
    group: list[Candidate] = []
    room = max_drift**2 - reached**2
    for each in waiting:
        if len(group) < most and alone[each.name] ** 2 <= room:
            group.append(each)
            room -= alone[each.name] ** 2
    return group


def _noises_alone(
    candidates: Sequence[Candidate],
    noise_of: Callable[[Sequence[Candidate]], float],
    limit: float,
    on_step: OnStep,
) -> dict[str, float]:
    """The noise that each gives alone; neighbours that give next to none of a limit together share it."""
    alone: dict[str, float] = {}
    for start in range(0, len(candidates), GROUP):
        group = candidates[start : start + GROUP]
        together = noise_of(group)
        if together <= QUIET * limit:
            alone |= {each.name: together / len(group) ** 0.5 for each in group}
        else:
            alone |= {each.name: noise_of([each]) for each in group}
        on_step(len(alone), len(candidates))
    return alone


def _candidates(layers: Sequence[Layer], scheme: Scheme) -> list[Candidate]:
    work = sum(layer.macs for layer in layers)
    attended = [layer for layer in layers if layer.node in scheme.attended]
    largest = max((layer.outputs for layer in attended), default=1)
    return [Candidate(layer, False, layer.macs / work + COST_OF_MAPS) for layer in layers] + [
        Candidate(layer, True, COST_OF_ATTENDED_MAPS * layer.outputs / largest) for layer in attended
    ]


def _parts(chosen: Sequence[Candidate], scheme: Scheme) -> tuple[Scheme, list[Layer]]:
    """A scheme without the maps that were not chosen, and the layers that were."""
    maps = {each.layer.node: scheme.attended[each.layer.node] for each in chosen if each.is_map}
    return scheme._replace(attended=maps), [each.layer for each in chosen if not each.is_map]
