"""What HKT or HKT+ loses or gains by seeing the whole image: with the paper's blind border and without, equal CPU time.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/whole_image.py --data CATEGORY [--system hkt] [--seconds 90]

Only the student's steps count, in CPU seconds of this process, so that what else runs on the machine decides less; the
teacher's outputs are computed before. The good images are read once for both; 30 of them are held out. Errors are
those of held-out good images; the outer positions are the four next to each edge.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.data.good_images import read_frames
from edgekd.data.layouts import read_category
from edgekd.metrics.auroc import image_auroc
from edgekd.models.detector import Batch
from edgekd.models.hkt import HKT
from edgekd.models.registry import find_system
from edgekd.training.batches import indices_of, normalised_images
from edgekd.training.initialisation import scale_layers
from edgekd.training.memory import keep_freed_memory
from edgekd.training.teachers.loading import load_teacher, put_pretrained

HELD_OUT, BATCH, LEARNING_RATE, WARM_UP = 30, 4, 1e-3, 20
OUTER = 4
CPU = torch.device("cpu")

Frames = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a category in a dataset's layout")
    parser.add_argument("--system", choices=("hkt", "hkt_plus"), default="hkt")
    parser.add_argument("--seconds", type=float, default=90.0, help="of CPU time, each")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    category = read_category(arguments.data)
    good = read_frames(category.train_good, arguments.size)
    good = good[np.random.default_rng(arguments.seed).permutation(len(good))]
    test = read_frames([image.path for image in category.test], arguments.size)
    defective = [image.defective for image in category.test]
    for border in (True, False):
        torch.manual_seed(arguments.seed)
        detector = build(arguments.system, arguments.size, border)
        iterations = train(detector, good[HELD_OUT:], arguments.seconds, arguments.seed)
        maps = patch_maps(detector, good[:HELD_OUT])
        detector.fit_places(normalised_images(frame[None], CPU) for frame in good[:HELD_OUT])
        scores = np.concatenate([detector.image_scores(normalised_images(frame[None], CPU)) for frame in test])
        outer = "none" if border else f"{outer_mean(maps):.3f}"
        inner = maps if border else maps[:, OUTER:-OUTER, OUTER:-OUTER]
        print(
            f"border={'on' if border else 'off'}: {iterations} iterations, image AUROC "
            f"{image_auroc(scores, defective):.4f}, error {inner.mean():.3f} inside, {outer} in the outer positions",
            flush=True,
        )


def build(system: str, size: int, border: bool) -> HKT:
    """An untrained detector with its teacher's weights."""
    teacher = load_teacher("efficientnet_lite1")
    settings = {"teacher": teacher.network, "score": "top_percent", "border": border}
    detector = find_system(system).detector(size, settings)
    assert isinstance(detector, HKT)
    for network in detector.pretrained().values():
        put_pretrained(network, teacher)
    return detector.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def train(detector: HKT, frames: Frames, seconds: float, seed: int) -> int:
    """Trains the student as `edgekd train` does within a time; returns its iterations."""
    targets = torch.cat([detector.targets(normalised_images(frame[None], CPU))[0].half() for frame in frames])
    detector.prepare((entry[None].float(),) for entry in targets)
    for entry in targets:
        entry.copy_(detector.ready_targets((entry[None].float(),))[0][0])
    student = detector.trainable().requires_grad_(True).train()
    scale_layers(student, normalised_images(frames[:16], CPU))
    optimizer = torch.optim.AdamW(student.parameters(), LEARNING_RATE, weight_decay=1e-5)
    start, iteration = time.process_time(), 0
    while (share := (time.process_time() - start) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (iteration + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))
        chosen = indices_of(iteration, BATCH, len(frames), seed)
        batch = Batch(normalised_images(frames[chosen], CPU), (targets[chosen].float(),))
        with torch.autocast("cpu", torch.bfloat16):
            loss = detector.training_loss(batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        iteration += 1
    detector.eval().requires_grad_(False)
    return iteration


def patch_maps(detector: HKT, frames: Frames) -> NDArray[np.float32]:
    """The maps [N, h, w] of frames, before any factor."""
    return np.concatenate([detector.patch_map(normalised_images(frame[None], CPU)) for frame in frames])


def outer_mean(maps: NDArray[np.float32]) -> float:
    """The mean of maps [N, h, w] over the positions next to their edges."""
    outer = np.ones(maps.shape[1:], bool)
    outer[OUTER:-OUTER, OUTER:-OUTER] = False
    return float(maps[:, outer].mean())


if __name__ == "__main__":
    main()
