"""What HKT's exact savings give: the same network with and without each, measured in turn on both CPU engines.

    python benchmarks/exact_savings.py [--system hkt] [--rounds 25]

- apart: the last convolutions of teacher and student apart, then their difference.
- merged: one convolution over the concatenated inputs, weights [W_t, -W_s]. This is what `edgekd export` writes.
- merged, one first: the first convolutions as one too, since both read the same frame; its output is split again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

import edgekd.models.hkt as hkt
from edgekd.artifact import sha256
from edgekd.data.generated_images import generated_frames
from edgekd.engines import BACKENDS
from edgekd.engines.cores import usable_cores
from edgekd.graph.export import build_graph
from edgekd.models.registry import find_system

SIZE, OPSET = 256, 18


class Apart(hkt.DeployedHKT):
    """The deployed network with two last convolutions."""

    def __init__(self, detector: hkt.HKT) -> None:
        super().__init__(detector)
        self.lasts = nn.ModuleList(_halves(self.difference.convolution, dim=1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        teacher, student = self.lasts
        return _answer(teacher(self.teacher(images)) + student(_student(self, images)), images)


class OneFirst(hkt.DeployedHKT):
    """The deployed network with one first convolution for teacher and student."""

    def __init__(self, detector: hkt.HKT) -> None:
        super().__init__(detector)
        teacher, student = super().input_convolutions()
        self.first = nn.Conv2d(3, 2 * teacher.out_channels, teacher.kernel_size)
        self.first.weight = nn.Parameter(torch.cat([teacher.weight, student.weight]))
        self.first.bias = nn.Parameter(torch.cat([teacher.bias, student.bias]))
        self.teacher = self.teacher[2:]

    def input_convolutions(self) -> list[nn.Conv2d]:
        return [self.first]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        teacher, student = functional.relu(self.first(images)).chunk(2, dim=1)
        x = _student(self, student, skip_first=True)
        return _answer(self.difference(self.teacher(teacher), x), images)


def _halves(convolution: nn.Conv2d, dim: int) -> list[nn.Conv2d]:
    """A convolution's weights split along a dimension; the bias goes to the first half."""
    halves = []
    for index, weight in enumerate(convolution.weight.detach().chunk(2, dim=dim)):
        half = nn.Conv2d(weight.shape[1], weight.shape[0], convolution.kernel_size)
        half.weight = nn.Parameter(weight.clone())
        half.bias = nn.Parameter(convolution.bias.detach().clone() * (index == 0))
        halves.append(half)
    return halves


def _student(network: hkt.DeployedHKT, x: Tensor, skip_first: bool = False) -> Tensor:
    student = network.student
    for index, (convolution, layer) in enumerate(zip(student.convolutions, student.layers, strict=False)):
        x = student.attend(x if skip_first and index == 0 else functional.relu(convolution(x)))
        x = student.pool(x) if layer.pool else x
    return x


def _answer(difference: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    patch_map = (difference * difference).mean(1)
    return patch_map.amax((1, 2)), hkt.place_map(patch_map, images.shape[2:], border=True)


FORMS = {"apart": Apart, "merged": hkt.DeployedHKT, "merged, one first": OneFirst}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="hkt")
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    detector = find_system(arguments.system).build().eval()
    frames = generated_frames(1, SIZE)
    engines = {}
    with tempfile.TemporaryDirectory() as folder:
        for form, build in FORMS.items():
            detector.deployed = lambda build=build: build(detector)
            path = Path(folder) / f"{form}.onnx"
            onnx.save(build_graph(detector, SIZE, 1, OPSET), path)
            manifest = {"inputs": {"frames": {"shape": [1, SIZE, SIZE, 3]}}, "sha256": sha256(path)}
            for backend, open_backend in BACKENDS.items():
                engines[backend, form] = open_backend(path, manifest, usable_cores())
        times = _measure(engines, frames, arguments.rounds)
    console = Console()
    for backend in BACKENDS:
        apart = np.array(times[backend, "apart"])
        for form in FORMS:
            ratio = np.array(times[backend, form]) / apart
            low, high = np.percentile(ratio, (25, 75))
            console.print(
                f"{backend:12} {form:18} median {statistics.median(times[backend, form]) * 1e3:7.1f} ms, "
                f"ratio to apart {np.median(ratio):.3f} (quartiles {low:.3f} to {high:.3f})"
            )


def _measure(engines: dict, frames: np.ndarray, rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds an inference takes, every engine once a round."""
    answers = {key: engine.infer(frames).anomaly_maps for key, engine in engines.items()}
    first = next(iter(answers.values()))
    for key, maps in answers.items():
        assert np.allclose(maps, first, rtol=1e-3, atol=1e-4 * first.max()), f"{key} is not the same network"
    times: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    for _ in range(rounds):
        for key, engine in engines.items():
            start = time.perf_counter()
            engine.infer(frames)
            times[key].append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
