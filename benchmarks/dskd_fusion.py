"""DSKD's fusion trained to convergence on synthetic anomalies, against fixed weights, judged by real defects.

    python benchmarks/dskd_fusion.py RUN --data CATEGORY [--textures FOLDER] [--json FILE]

A gradient step of the six weights needs nothing but the six maps of each image, so these are computed once for a fixed
set of synthetic anomalies, a quarter as high and wide as the images: no map is finer than that before it is resized.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from edgekd.artifact import write_json
from edgekd.data.good_images import read_frames
from edgekd.data.layouts import read_category
from edgekd.data.synthetic_anomalies import list_textures
from edgekd.metrics.auroc import image_auroc
from edgekd.models.detector import Batch, Stage
from edgekd.models.dskd import COMPARED, DSKD, MANUAL_WEIGHTS
from edgekd.recipe import TrainingRecipe
from edgekd.training.batches import Batches, normalised_images
from edgekd.training.run import load_run, training_images

CPU = torch.device("cpu")

FUSION_IMAGES = 256  # Synthetic anomalies that the weights are fitted to.
REDUCTION = 4
SMALLEST_CHANGE = 1e-4  # Of the loss, relative, over one round; below it, the weights have converged.
MOST_ROUNDS, STEPS_A_ROUND = 50, 20


class FusionFit(NamedTuple):
    """How the fit went: the Dice loss before it and after it."""

    before: float
    after: float


def fit_fusion(detector: DSKD, batches: Iterable[Batch]) -> FusionFit:
    """Fits the weights of a fusion to synthetic anomalies, in place, until the Dice loss stands still.

    The Dice loss is low, too, where the ReLU behind the fusion cuts everything off, and there it has no gradient. So
    the fit starts from the least-squares prediction of the masks, which is positive where the anomalies are. The same
    batches give the same weights; if no fit is better than the weights that there were, those stay.

    Args:
        detector: Whose students are trained; of it only `fusion` changes.
        batches: With `corrupted` and `masks`, about FUSION_IMAGES images in all.
    """
    maps, masks = fusion_inputs(detector, batches)
    weight = detector.fusion.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        before = detector.dice_loss(maps, masks).item()
        weight.copy_(_least_squares(maps, masks).view_as(weight))
    after = _minimise(detector, maps, masks)
    with torch.no_grad():
        if after >= before or not (detector.fusion(maps) > 0).any():
            weight.copy_(kept)
            after = before
    return FusionFit(before, after)


def _minimise(detector: DSKD, maps: Tensor, masks: Tensor) -> float:
    """Lowers the Dice loss from the weights that there are until it stands still; returns it."""
    weight = detector.fusion.weight.requires_grad_(True)
    optimizer = torch.optim.LBFGS([weight], max_iter=STEPS_A_ROUND, line_search_fn="strong_wolfe")

    def loss_and_gradient() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = detector.dice_loss(maps, masks)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    loss: float = loss_and_gradient().item()
    for _ in range(MOST_ROUNDS):
        optimizer.step(loss_and_gradient)  # type: ignore[no-untyped-call]
        last, loss = loss, loss_and_gradient().item()
        if last - loss <= SMALLEST_CHANGE * last:
            break
    weight.requires_grad_(False).grad = None
    return loss


def _least_squares(maps: Tensor, masks: Tensor) -> Tensor:
    """The weights [6] of the maps whose sum comes nearest to the masks."""
    columns = maps.transpose(0, 1).flatten(1).double()
    return torch.linalg.solve(columns @ columns.T, columns @ masks.flatten().double()).to(maps)


@torch.no_grad()
def fusion_inputs(detector: DSKD, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """What the fit reads.

    Args:
        detector: Whose students are trained.
        batches: With `corrupted` and `masks`.

    Returns:
        The students' maps [N, 6, H / 4, W / 4] and the anomalous share of each of their positions [N, H / 4, W / 4].
    """
    maps, masks = [], []
    for batch in batches:
        assert batch.corrupted is not None
        assert batch.masks is not None
        maps.append(functional.avg_pool2d(detector.scale_maps(batch.corrupted), REDUCTION))
        masks.append(functional.avg_pool2d(batch.masks, REDUCTION))
    return torch.cat(maps), torch.cat(masks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="of DSKD, trained")
    parser.add_argument("--data", type=Path, required=True, metavar="CATEGORY", help="with defective test images")
    parser.add_argument("--textures", type=Path, metavar="FOLDER", help="default: noise")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    detector, recipe = load_run(arguments.run)
    assert isinstance(detector, DSKD)
    test = read_category(arguments.data).test
    frames = read_frames([image.path for image in test], recipe.preprocessing)
    defective = [image.defective for image in test]
    anomalies = _anomalies(detector, recipe, list_textures(arguments.textures) if arguments.textures else [])
    maps, masks = fusion_inputs(detector, anomalies)
    rows = {}
    manual = torch.tensor([weight for weight in MANUAL_WEIGHTS.values() for _ in range(COMPARED)])
    for name, weights in (("a sixth each", torch.ones(2 * COMPARED)), ("manual, 1 to 3", manual), ("converged", None)):
        if weights is None:
            fit_fusion(detector, anomalies)
        else:
            detector.fusion.weight.data.copy_((weights / weights.sum()).view_as(detector.fusion.weight))
        with torch.no_grad():
            loss = detector.dice_loss(maps, masks).item()
            scores = [float(detector.image_scores(normalised_images(frame[None], CPU))[0]) for frame in frames]
        rows[name] = {
            "weights": detector.fusion.weight.flatten().tolist(),
            "dice_loss": loss,
            "image_auroc": image_auroc(scores, defective),
        }
        print(f"{name}: Dice loss {loss:.3f}, image AUROC {rows[name]['image_auroc']:.3f}")
    if arguments.json:
        write_json(arguments.json, rows)


def _anomalies(detector: DSKD, recipe: TrainingRecipe, textures: list[Path]) -> list[Batch]:
    """The synthetic anomalies that the weights are fitted to, in batches of eight."""
    good = read_frames(training_images(recipe), recipe.preprocessing)
    stage = Stage("fusion", detector.fusion, detector.fusion_loss, needs_targets=False, synthetic=True)
    with Batches(detector, good, 8, recipe.seed, textures, CPU, recipe.resize) as batches:
        return [batches.at(iteration, stage) for iteration in range(FUSION_IMAGES // 8)]


if __name__ == "__main__":
    main()
