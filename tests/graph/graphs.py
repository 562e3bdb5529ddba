"""Graphs of untrained detectors, each built once for all tests that look at it."""

from functools import cache

import torch

from edgekd.data.good_images import read_frames
from edgekd.graph.export import build_graph
from edgekd.models.normalisation import normalise
from edgekd.models.registry import find_system
from edgekd.preprocessing import Preprocessing, parse_size

OPSET = 18


@cache
def prepared(system, paths, size, settings=()):
    """An untrained detector that took what it wants to know from real images. Read it, do not change it."""
    torch.manual_seed(2)
    detector = find_system(system).detector(size, dict(settings)).eval()
    frames = read_frames(paths, Preprocessing(*parse_size(size)))
    images = normalise(torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2))
    detector.prepare(detector.targets(image[None]) for image in images)
    detector.fit_quantiles(image[None] for image in images)
    detector.fit_places(image[None] for image in images)
    return detector


@cache
def graph_of(system, paths, size, batch, settings=()):
    """The graph of a prepared detector. Read it, do not change it."""
    return build_graph(prepared(system, paths, size, settings), size, batch, OPSET)
