"""The six systems as they are deployed, with the teachers that need no download."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgekd.graph.frames import CENTRE, FrameNetwork
from edgekd.graph.rewrites import rewrite
from edgekd.models.detector import Detector
from edgekd.models.maps import SeparableMap
from edgekd.models.registry import LIGHT_TEACHER, SYSTEMS, find_system
from gpu_script.settings import SYSTEM_NAMES

HEAVY_TEACHERS = ("pfadseg", "dskd")  # Whose papers' teachers are downloads; they take the light one here.

assert set(SYSTEM_NAMES) == set(SYSTEMS)


def teacher_names(system: str) -> list[str]:
    """The teachers of a system that are at hand."""
    return [LIGHT_TEACHER] if system in HEAVY_TEACHERS else list(find_system(system).teachers)


def light_settings(system: str) -> dict[str, Any]:
    """The arguments that give a system those teachers."""
    setting, names = find_system(system).teacher_setting, teacher_names(system)
    return {setting: names if setting == "groups" else names[0]}


def light_detector(system: str, size: int) -> Detector:
    """A system's detector, untrained, for images of a side."""
    return find_system(system).detector(size, light_settings(system)).eval()


class HalfFrames(nn.Module):
    """A deployed network with its convolutions in float16, by autocast; bytes less 128 are exact in it.

    Squares, sums and norms are computed in float32, as the FP16 graphs have them, and so are the maps' last resizes.

    Args:
        network: In float32; it is copied.
    """

    def __init__(self, network: FrameNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network.network)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.half()  # Once here, not at every run.
        _widen_last_resizes(self.network)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        wide = contextlib.nullcontext() if frames.is_cuda else WideAsOnGpus()
        with torch.autocast(frames.device.type, torch.float16, cache_enabled=False), wide:
            scores, maps = self.network(frames.half().permute(0, 3, 1, 2) - CENTRE)
        return scores.float(), maps.float()


class WideAsOnGpus(TorchFunctionMode):
    """Squares and sums in float32, which autocast sees to on GPUs alone."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (Tensor.square, torch.square, Tensor.pow, torch.pow, Tensor.sum, torch.sum):
            args = (args[0].float(), *args[1:])
        return function(*args, **(kwargs or {}))


class WideMap(nn.Module):
    """A resize by matrices that stays in float32."""

    def __init__(self, resize: SeparableMap) -> None:
        super().__init__()
        self.resize = resize

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast(maps.device.type, enabled=False):
            resized: Tensor = self.resize(maps.float())
        return resized


def _widen_last_resizes(network: nn.Module) -> None:
    for name, child in network.named_children():
        if isinstance(child, SeparableMap):
            setattr(network, name, WideMap(child))


def deployed_network(detector: Detector, precision: str, device: torch.device) -> nn.Module:
    """What is exported of a detector, on a device: frames uint8 [N, H, W, 3] to scores and maps, float32.

    Args:
        detector: Of any system.
        precision: "fp16" or "fp32".
        device: Where it computes, its weights in channels-last order.
    """
    network = rewrite(FrameNetwork(detector.deployed())).eval()
    assert isinstance(network, FrameNetwork)
    wanted = HalfFrames(network) if precision == "fp16" else network
    return wanted.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)


def exact_float32() -> None:
    """Float32 is to mean float32: without TensorFloat-32, which keeps ten bits of each factor."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
