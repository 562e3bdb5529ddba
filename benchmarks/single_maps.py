"""What exports save on maps of one channel: each system's graph, and the same with one saving undone, in turn.

    python benchmarks/single_maps.py [--systems hkt dskd ...] [--size 256] [--rounds 50] [--json FILE]

- gates: attention's 7 x 7 convolution gives one channel, instead of 16 that are laid side by side.
- resizes: single maps are resized by Resize, instead of two products.
- fusion: DSKD's six maps are fused at the image's size, instead of on their own grids.

Untrained networks in FP32 on both CPU engines, with EfficientNet-Lite1 where a system takes a backbone. What is
saved is float32 in INT8 graphs too, so the milliseconds hold for them as well.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from rich.console import Console
from torch import Tensor

from edgekd.artifact import sha256, write_json
from edgekd.data.generated_images import generated_frames
from edgekd.engines import BACKENDS
from edgekd.engines.cores import usable_cores
from edgekd.graph import export, rewrites
from edgekd.graph.export import build_graph
from edgekd.models import dskd
from edgekd.models.maps import scores_of
from edgekd.models.registry import find_system
from edgekd.profiling.timing import device_record

OPSET, WARM_UP = 18, 3
IN_A_ROW = 5  # Of these the first is not timed: an engine is slower right after another one has computed.
LITE1 = "efficientnet_lite1"
SETTINGS: dict[str, dict[str, Any]] = {
    "hkt": {"teacher": LITE1, "border": False},
    "hkt_plus": {"teacher": LITE1, "border": False},
    "mhkd": {"teacher": LITE1},
    "pfadseg": {"backbone": LITE1},
    "dskd": {"backbone": LITE1},
    "mthf": {},
}
GATED = ("hkt", "hkt_plus", "mthf")


class FusedLast(dskd.DeployedDSKD):
    """DSKD with its maps fused after they are resized, as in training."""

    def __init__(self, detector: dskd.DSKD) -> None:
        super().__init__(detector)
        self.fusion = detector.fusion

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        targets = self.teacher(images)
        outputs = [
            student(self.entry(images)) if name == "forward_student" else student(targets)
            for name, student in self.students.items()
        ]
        scales = dskd._scale_maps(targets, outputs, images.shape[2:])
        maps: Tensor = self.smooth(dskd._fused(self.fusion, scales))
        return scores_of(maps, self.score), maps


UNDONE: dict[str, tuple[Any, str, Any]] = {
    "gates": (rewrites, "BlockwiseConvolution", lambda convolution: convolution),
    "resizes": (export, "resizes_as_products", lambda model: None),
    "fusion": (dskd, "DeployedDSKD", FusedLast),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console, rows = Console(), []
    for system in arguments.systems:
        for row in measured(system, arguments.size, arguments.rounds):
            low, median, high = row["saved_ms"]
            console.print(
                f"{system:9} {row['saving']:8} {row['backend']:12} {row['milliseconds']:7.2f} ms, "
                f"{median:.3f} less (quartiles {low:.3f} to {high:.3f}), {row['ratio']:.3f} of the time",
                soft_wrap=True,
            )
            rows.append(row)
    if arguments.json:
        about = {"size": arguments.size, "rounds": arguments.rounds, "device": device_record(usable_cores())}
        write_json(arguments.json, about | {"rows": rows})


def measured(system: str, size: int, rounds: int) -> Iterator[dict[str, Any]]:
    """What each saving of a system gives, on each engine."""
    torch.manual_seed(0)
    detector = find_system(system).detector(size, SETTINGS[system]).eval()
    savings = ["resizes", *(["gates"] if system in GATED else []), *(["fusion"] if system == "dskd" else [])]
    frames, inputs = generated_frames(1, size), {"frames": {"shape": [1, size, size, 3]}}
    with tempfile.TemporaryDirectory() as folder:
        graphs = {form: Path(folder) / f"{form}.onnx" for form in ("exported", *savings)}
        for form, path in graphs.items():
            with undone(form):
                onnx.save(build_graph(detector, size, 1, OPSET), path)
        for backend, open_backend in BACKENDS.items():
            engines = {
                form: open_backend(path, {"inputs": inputs, "sha256": sha256(path)}, usable_cores())
                for form, path in graphs.items()
            }
            times = in_turn(engines, frames, rounds)
            for form in savings:
                saved = times[form] - times["exported"]
                yield {
                    "system": system,
                    "saving": form,
                    "backend": backend,
                    "milliseconds": float(np.median(times["exported"])),
                    "saved_ms": np.percentile(saved, (25, 50, 75)).tolist(),
                    "ratio": float(np.median(times["exported"] / times[form])),
                }


@contextlib.contextmanager
def undone(form: str) -> Iterator[None]:
    """Exports without one of the savings, as long as the block lasts."""
    if form not in UNDONE:
        yield
        return
    module, name, instead = UNDONE[form]
    saving = getattr(module, name)
    setattr(module, name, instead)
    try:
        yield
    finally:
        setattr(module, name, saving)


def in_turn(engines: dict[str, Any], frames: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds that an inference takes, a median for each engine and round; the order turns from round to round."""
    answers = {form: engine.infer(frames).anomaly_maps for form, engine in engines.items()}
    for form, maps in answers.items():
        exported = answers["exported"]
        assert np.abs(maps - exported).max() <= 1e-4 * np.abs(exported).max(), f"{form} is not the same network"
    times: dict[str, list[float]] = {form: [] for form in engines}
    for turn in range(WARM_UP + rounds):
        order = list(engines.items())
        for form, engine in order if turn % 2 else reversed(order):
            times[form].append(np.median([milliseconds(engine, frames) for _ in range(IN_A_ROW)][1:]))
    return {form: np.array(values[WARM_UP:]) for form, values in times.items()}


def milliseconds(engine: Any, frames: np.ndarray) -> float:
    """How long an inference takes now."""
    start = time.perf_counter()
    engine.infer(frames)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
