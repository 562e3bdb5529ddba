"""Whether a detector, and the graph that ships of it, sees every pixel: no place of an image is blind."""

import numpy as np
import pytest
import torch

from edgekd.data.good_images import read_frames
from edgekd.models.normalisation import normalise
from edgekd.models.registry import SYSTEMS
from edgekd.quantization.running import run_graph

from .graphs import graph_of, prepared

SIZE = 64
SLOW_TO_EXPORT = ("dskd", "pfadseg")
LIGHT = {"dskd": (("backbone", "efficientnet_lite0"),), "mthf": (("groups", ("efficientnet_lite0",)),)}


def settings_of(system):
    """Those of a training within a time, with teachers that are quickly built."""
    return (*SYSTEMS[system].timed_settings.items(), *LIGHT.get(system, ()))


def dead_share(maps):
    """The share of a map's pixels that are the same for all images."""
    return float(np.mean(np.ptp(maps, axis=0) == 0))


@pytest.fixture
def paths(elpv_images):
    return tuple(elpv_images[:3])


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_no_pixel_of_the_map_is_dead(system, paths):
    frames = read_frames(paths, SIZE)
    images = normalise(torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2))
    assert dead_share(prepared(system, paths, SIZE, settings_of(system)).anomaly_map(images).numpy()) == 0


@pytest.mark.parametrize(
    "system", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_TO_EXPORT else name for name in SYSTEMS]
)
def test_no_pixel_of_the_graphs_map_is_dead(system, paths):
    maps = run_graph(graph_of(system, paths, SIZE, 1, settings_of(system)), read_frames(paths, SIZE)).maps
    assert dead_share(maps) == 0


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_every_pixel_of_the_image_moves_the_map(system, paths):
    frames = read_frames(paths[:1], SIZE)
    images = normalise(torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2)).requires_grad_()
    _, maps = prepared(system, paths, SIZE, settings_of(system)).deployed().eval()(images)
    (gradient,) = torch.autograd.grad(maps.sum(), images)
    assert float((gradient.abs().amax(1) == 0).float().mean()) == 0


@pytest.mark.parametrize("system", ["hkt", "hkt_plus"])
def test_the_papers_border_is_blind(system, paths):
    # 16 pixels on each side, of which the resize of the map reaches two.
    maps = prepared(system, paths, SIZE).anomaly_map(torch.randn(3, 3, SIZE, SIZE)).numpy()
    assert dead_share(maps) == 1 - ((SIZE - 28) / SIZE) ** 2
