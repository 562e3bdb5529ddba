"""DSKD's fusion trained to convergence: six weights, on maps that the frozen students compute once.

Its gradient steps need nothing but the six maps of each image, so these are computed once for a fixed set of synthetic
anomalies, a quarter as high and wide as the images: no map is finer than that before it is resized.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from edgekd.models.detector import Batch
from edgekd.models.dskd import DSKD

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

    loss = float(loss_and_gradient().detach())
    for _ in range(MOST_ROUNDS):
        optimizer.step(loss_and_gradient)  # type: ignore[no-untyped-call]
        last, loss = loss, float(loss_and_gradient().detach())
        if last - loss <= SMALLEST_CHANGE * last:
            break
    weight.requires_grad_(False).grad = None
    return loss


def _least_squares(maps: Tensor, masks: Tensor) -> Tensor:
    """The weights [6] of the maps whose sum comes nearest to the masks."""
    columns = maps.transpose(0, 1).flatten(1).double()
    weights: Tensor = torch.linalg.solve(columns @ columns.T, columns @ masks.flatten().double()).to(maps)
    return weights


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
