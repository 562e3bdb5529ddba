"""Distilling a PDN teacher from the patch features of an ImageNet backbone.

The PDN sees a picture at half the backbone's resolution and learns its standardised features by mean squared error.
Source: EfficientAD (WACV 2024), appendix, and nelson1425/EfficientAD pretraining.py. Here both networks see random
square crops, and the PDN goes without padding: its grid is the backbone's less four positions on each side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.data.pictures import Picture, read_picture, resize_picture
from edgekd.errors import EdgekdError
from edgekd.models.normalisation import normalise
from edgekd.training.device import channels_last
from edgekd.training.loop import OnStep, optimise
from edgekd.training.patch_features import PatchFeatures

CROP = 256  # What the backbone sees, in pixels; the PDN sees half of it.
BORDER = 4  # Positions of the padded grid that an unpadded PDN lacks on each side.
GREY_PROBABILITY = 0.1
GREY_OF_BGR = np.array([[0.114], [0.587], [0.299]], np.float32)
HELD_OUT_EVERY = 20
STATISTICS_CROPS = 512
STATISTICS_NUMBERS = 1 << 40  # Batch numbers no iteration reaches.
CACHED_PICTURES = 4096


@dataclass(frozen=True)
class DistillationSettings:
    """How a teacher is distilled.

    Attributes:
        iterations: Optimizer steps.
        batch: Crops a step.
        learning_rate: Adam's at the start; it falls to zero along a cosine.
        seed: Of the weights and of every crop.
    """

    iterations: int
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    seed: int = 0


class CropSource:
    """Random crops of pictures, the same for the same number, read ahead by worker threads.

    Args:
        paths: The pictures.
        batch: Crops a batch.
        seed: Of all crops.
        workers: Threads that read.
    """

    def __init__(self, paths: Sequence[Path], batch: int, seed: int, workers: int = 2) -> None:
        self._paths, self._batch, self._seed = paths, batch, seed
        self._workers = ThreadPoolExecutor(workers)
        self._ahead: dict[int, list[Future[Tensor]]] = {}
        self._read = lru_cache(CACHED_PICTURES)(_read_for_crops)

    def batch_at(self, number: int) -> Tensor:
        """The batch of a number: RGB uint8 [batch, 3, 256, 256]."""
        for wanted in (number, number + 1):
            if wanted not in self._ahead:
                self._ahead[wanted] = [self._workers.submit(self._crop, wanted, index) for index in range(self._batch)]
        return torch.stack([future.result() for future in self._ahead.pop(number)])

    def _crop(self, number: int, index: int) -> Tensor:
        random = np.random.default_rng((self._seed, number, index))
        picture = self._read(self._paths[int(random.integers(len(self._paths)))])
        shorter = min(picture.shape[:2])
        side = int(random.integers(round(shorter * 0.6), shorter + 1))
        top, left = (int(random.integers(length - side + 1)) for length in picture.shape[:2])
        crop = resize_picture(picture[top : top + side, left : left + side], CROP, CROP)
        if random.random() < 0.5:
            crop = crop[:, ::-1]
        crop = crop.astype(np.float32)
        if random.random() < GREY_PROBABILITY:
            crop = np.repeat(crop @ GREY_OF_BGR, 3, axis=2)
        return _to_tensor(crop.round().astype(np.uint8))


class TeacherDistillation:
    """One distillation: a PDN, the backbone it follows, and the pictures that both see.

    Args:
        network: The PDN to train.
        features: The backbone with its patch pooling.
        paths: Pictures; every twentieth is held out.
        settings: How to train.
        device: Where to.
    """

    def __init__(
        self,
        network: nn.Sequential,
        features: PatchFeatures,
        paths: Sequence[Path],
        settings: DistillationSettings,
        device: torch.device,
    ) -> None:
        held_out = list(paths[::HELD_OUT_EVERY])
        training = [path for index, path in enumerate(paths) if index % HELD_OUT_EVERY]
        if not training:
            raise EdgekdError(f"{len(paths)} picture is too few to distil a teacher from: give hundreds or more")
        self.settings, self.device = settings, device
        self.network, self.features = channels_last(network, device), channels_last(features, device)
        self._crops = CropSource(training, settings.batch, settings.seed)
        self._held_out = torch.stack([_centre_crop(path) for path in held_out])
        self.mean, self.std = self._feature_statistics()

    def run(self, checkpoint: Path, on_step: OnStep) -> None:
        """Trains the PDN, from its checkpoint if there is one."""
        optimizer = torch.optim.Adam(
            self.network.parameters(), self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        optimise(
            self.network,
            optimizer,
            lambda iteration: self._loss(self._crops.batch_at(iteration)),
            self._learning_rate_at,
            self.settings.iterations,
            checkpoint,
            on_step,
        )

    @torch.inference_mode()
    def held_out_error(self) -> float:
        """The mean squared error on the held-out pictures, as a share of their own features' variance."""
        batches = torch.split(self._held_out, self.settings.batch)
        predicted, target = (torch.cat(parts) for parts in zip(*map(self._predict, batches), strict=True))
        variance = (target - target.mean((0, 2, 3), keepdim=True)).square().mean()
        return float((predicted - target).square().mean() / variance)

    def _loss(self, crops: Tensor) -> Tensor:
        predicted, target = self._predict(crops)
        return nn.functional.mse_loss(predicted, target)

    def _predict(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """The PDN's features of crops and the standardised ones of the backbone, [N, 384, 24, 24] each."""
        images = crops.to(self.device, torch.float32).contiguous(memory_format=torch.channels_last)
        bfloat16 = torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")
        with bfloat16:
            target = (self.features(images).float() - self.mean) / self.std
            predicted = self.network(normalise(nn.functional.avg_pool2d(images, 2)))
        target = target[:, :, BORDER:-BORDER, BORDER:-BORDER]
        return predicted.float(), target.clone()  # Cloned: autograd cannot keep a tensor made in inference mode.

    def _learning_rate_at(self, iteration: int) -> float:
        warm_up = min(1.0, (iteration + 1) / 30)
        cosine = 0.5 * (1 + math.cos(math.pi * iteration / self.settings.iterations))
        return self.settings.learning_rate * warm_up * cosine

    @torch.inference_mode()
    def _feature_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature over training crops, [1, 384, 1, 1] each."""
        sums = torch.zeros(2, 384, dtype=torch.float64)
        positions = 0
        for number in range(-(-STATISTICS_CROPS // self.settings.batch)):
            crops = self._crops.batch_at(STATISTICS_NUMBERS + number)
            features = self.features(crops.to(self.device, torch.float32)).double().cpu()
            sums += torch.stack([features.sum((0, 2, 3)), features.square().sum((0, 2, 3))])
            positions += features.numel() // features.shape[1]
        mean, mean_square = sums / positions
        std = (mean_square - mean.square()).clamp_min(1e-12).sqrt()
        return mean.float().view(1, -1, 1, 1).to(self.device), std.float().view(1, -1, 1, 1).to(self.device)


def _read_for_crops(path: Path) -> Picture:
    """A picture with its shorter side brought to 256 pixels."""
    picture = read_picture(path)
    height, width = picture.shape[:2]
    scale = CROP / min(height, width)
    return resize_picture(picture, round(height * scale), round(width * scale))


def _centre_crop(path: Path) -> Tensor:
    picture = _read_for_crops(path)
    top, left = ((length - CROP) // 2 for length in picture.shape[:2])
    return _to_tensor(picture[top : top + CROP, left : left + CROP])


def _to_tensor(picture: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1)))
