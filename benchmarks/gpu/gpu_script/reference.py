"""What the six systems answer on the CPU, with weights that follow from a seed: tests/gpu/reference.npz.

python -m gpu_script.reference        # writes the file anew; PYTHONPATH as in run.sh
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekd.data.generated_images import generated_frames
from edgekd.models.detector import Detector
from gpu_script.networks import deployed_network, exact_float32, light_detector
from gpu_script.settings import SYSTEM_NAMES

FILE = Path(__file__).resolve().parents[3] / "tests" / "gpu" / "reference.npz"
SIDE, FRAMES = 64, 2
# With 6, PFADSeg's depth makes chaos of the last digit: two right answers differ by as much as its map varies.
GAINS = {"pfadseg": {"gain": 3.0}}


def seeded_detector(system: str) -> Detector:
    """A system's detector for images of 64 pixels, its weights drawn by NumPy's frozen generator."""
    detector = light_detector(system, SIDE)
    draw_weights(detector, np.random.RandomState(SYSTEM_NAMES.index(system)), **GAINS.get(system, {}))
    return detector


@torch.no_grad()
def draw_weights(network: nn.Module, random: np.random.RandomState, gain: float = 6.0) -> None:
    """Draws all parameters and batch norms' statistics, uniformly.

    A gain of 6 keeps the activations behind a ReLU as large as those before it: they neither die nor explode.
    """
    for module in network.modules():
        normalises = isinstance(module, nn.BatchNorm2d)
        for name, entry in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
            if isinstance(entry, nn.Parameter) and entry.dim() > 1:
                bound = (gain / entry[0].numel()) ** 0.5
                low, high = -bound, bound
            elif normalises and name in ("weight", "running_var"):
                low, high = 0.5, 1.5
            elif isinstance(entry, nn.Parameter) or (normalises and name == "running_mean"):
                low, high = -0.1, 0.1
            else:
                continue
            entry.copy_(torch.from_numpy(random.uniform(low, high, tuple(entry.shape))))


@torch.inference_mode()
def answers(system: str, frames: np.ndarray, device: torch.device, precision: str = "fp32") -> dict[str, np.ndarray]:
    """Scores and maps of the deployed network."""
    exact_float32()
    network = deployed_network(seeded_detector(system), precision, device)
    scores, maps = network(torch.from_numpy(frames).to(device))
    return {f"{system}_scores": scores.cpu().numpy(), f"{system}_maps": maps.cpu().numpy()}


def make_reference() -> dict[str, np.ndarray]:
    """The frames, and every system's answers on the CPU."""
    frames = generated_frames(FRAMES, SIDE)
    content = {"frames": frames}
    for system in SYSTEM_NAMES:
        content |= answers(system, frames, torch.device("cpu"))
    return content


if __name__ == "__main__":
    np.savez_compressed(FILE, **make_reference())
    print(f"{FILE}: {FILE.stat().st_size} bytes")
