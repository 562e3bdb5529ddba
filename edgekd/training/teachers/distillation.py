"""Distilling a PDN teacher from the patch features of an ImageNet backbone.

The PDN sees an image at half the backbone's resolution and learns its standardised features by mean squared error.
Source: EfficientAD (WACV 2024), appendix, and nelson1425/EfficientAD pretraining.py. Here both networks see random
square crops, and the PDN goes without padding: its grid is the backbone's less four positions on each side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.artifact import write_json
from edgekd.data.images import Image, read_image
from edgekd.data.resizing import resize_image
from edgekd.errors import EdgekdError, ImageError
from edgekd.json_files import read_object
from edgekd.models.backbones.pdn import BORDER, FEATURES
from edgekd.models.normalisation import normalise
from edgekd.models.patch_features import PatchFeatures
from edgekd.resize_rules import AREA  # A distillation that is resumed must see the crops that it began with.
from edgekd.training.device import channels_last
from edgekd.training.loop import OnStep, optimise

GREY_PROBABILITY = 0.1
GREY_OF_BGR = np.array([[0.114], [0.587], [0.299]], np.float32)
HELD_OUT_EVERY, MOST_HELD_OUT = 20, 256
STATISTICS_CROPS = 512
HISTORY_FILE = "held_out_errors.json"
STATISTICS_NUMBERS = 1 << 40  # Batch numbers no iteration reaches.
DRAWS = 20  # After so many images in turn that cannot be read, there is something wrong with all of them.
CACHED_BYTES = 1 << 30


@dataclass(frozen=True)
class DistillationSettings:
    """How a teacher is distilled.

    Attributes:
        iterations: Optimizer steps.
        batch: Crops a step.
        learning_rate: Adam's at the start; it falls to zero along a cosine.
        weight_decay: Adam's.
        crop: Side of what the backbone sees, in pixels; the PDN sees half of it.
        seed: Of the weights and of every crop.
    """

    iterations: int
    batch: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    crop: int = 256
    seed: int = 0


class CropSource:
    """Random crops of images, the same for the same number, read ahead by worker threads.

    Args:
        paths: The images.
        batch: Crops a batch.
        side: Of a crop, in pixels.
        seed: Of all crops.
        workers: Threads that read.
    """

    def __init__(self, paths: Sequence[Path], batch: int, side: int, seed: int, workers: int = 2) -> None:
        self._paths, self._batch, self._side, self._seed = paths, batch, side, seed
        self._workers = ThreadPoolExecutor(workers)
        self._ahead: dict[int, list[Future[Tensor]]] = {}
        self._read = lru_cache(CACHED_BYTES // (4 * side * side))(partial(_read_for_crops, side=side))

    def batch_at(self, number: int) -> Tensor:
        """The batch of a number: RGB uint8 [batch, 3, side, side]."""
        for wanted in (number, number + 1):
            if wanted not in self._ahead:
                self._ahead[wanted] = [self._workers.submit(self._crop, wanted, index) for index in range(self._batch)]
        return torch.stack([future.result() for future in self._ahead.pop(number)])

    def _crop(self, number: int, index: int) -> Tensor:
        random = np.random.default_rng((self._seed, number, index))
        image = self._draw_image(random)
        shorter = min(image.shape[:2])
        side = int(random.integers(round(shorter * 0.6), shorter + 1))
        top, left = (int(random.integers(length - side + 1)) for length in image.shape[:2])
        crop = resize_image(image[top : top + side, left : left + side], self._side, self._side, AREA)
        if random.random() < 0.5:
            crop = crop[:, ::-1]
        crop = crop.astype(np.float32)
        if random.random() < GREY_PROBABILITY:
            crop = np.repeat(crop @ GREY_OF_BGR, 3, axis=2)
        return _to_tensor(crop.round().astype(np.uint8))

    def _draw_image(self, random: np.random.Generator) -> Image:
        """An image by chance; one that cannot be read is drawn again, rather than ending days of work."""
        for _ in range(DRAWS):
            try:
                return self._read(self._paths[int(random.integers(len(self._paths)))])
            except ImageError as error:
                unreadable = error
        raise unreadable


class TeacherDistillation:
    """One distillation: a PDN, the backbone it follows, and the images that both see.

    Args:
        network: The PDN to train.
        features: The backbone with its patch pooling.
        paths: Images; every twentieth is held out, and at most 256 of them are measured.
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
        held_out = held_out[:: -(-len(held_out) // MOST_HELD_OUT)]
        training = [path for index, path in enumerate(paths) if index % HELD_OUT_EVERY]
        if not training:
            raise EdgekdError(f"{len(paths)} image is too few to distil a teacher from: give hundreds or more")
        self.settings, self.device = settings, device
        self.network, self.features = channels_last(network, device), channels_last(features, device)
        self._crops = CropSource(training, settings.batch, settings.crop, settings.seed)
        self._held_out = torch.stack([_centre_crop(path, settings.crop) for path in held_out])
        self.mean, self.std = self._feature_statistics()

    def run(self, checkpoint: Path, on_step: OnStep) -> None:
        """Trains the PDN, from its checkpoint if there is one.

        It never ends before its iterations: the learning rate falls along them, and most is gained where it is low.

        Args:
            checkpoint: The file to resume from and to save to; the held-out errors are written beside it.
            on_step: Called with the iterations done and the loss.
        """
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
            on_save=lambda iteration: self._record_error(iteration, checkpoint.with_name(HISTORY_FILE)),
        )

    @torch.inference_mode()
    def held_out_error(self) -> float:
        """The mean squared error on the held-out images, as a share of their own features' variance."""
        count, error = 0, 0.0
        sums = torch.zeros(2, FEATURES, dtype=torch.float64)
        for batch in torch.split(self._held_out, self.settings.batch):
            predicted, target = self._predict(batch)
            count += target[:, 0].numel()
            error += float((predicted - target).square().sum())
            sums += torch.stack([target.sum((0, 2, 3)), target.square().sum((0, 2, 3))]).double().cpu()
        mean, mean_square = sums / count
        return error / count / float((mean_square - mean.square()).sum())

    def _record_error(self, iteration: int, history: Path) -> None:
        """Measures the held-out error, and keeps it for whoever follows the distillation."""
        errors = read_object(history) if history.exists() else {}
        # Not those of an older run.
        errors = {key: error for key, error in errors.items() if key.isdecimal() and int(key) < iteration}
        errors[str(iteration)] = self.held_out_error()
        write_json(history, errors)

    def _loss(self, crops: Tensor) -> Tensor:
        predicted, target = self._predict(crops)
        return nn.functional.mse_loss(predicted, target)

    def _predict(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """The PDN's features of crops and the standardised ones of the backbone: [N, 384, grid, grid] each.

        The grid is that of an unpadded PDN: 24 for crops of 256 pixels, 56 for 512.
        """
        images = crops.to(self.device, torch.float32).contiguous(memory_format=torch.channels_last)
        bfloat16 = torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")
        with bfloat16:
            with torch.no_grad():
                target = (self.features(images).float() - self.mean) / self.std
            predicted = self.network(normalise(nn.functional.avg_pool2d(images, 2)))
        target = target[:, :, BORDER:-BORDER, BORDER:-BORDER]
        return predicted.float(), target

    def _learning_rate_at(self, iteration: int) -> float:
        warm_up = min(1.0, (iteration + 1) / 30)
        cosine = 0.5 * (1 + math.cos(math.pi * iteration / self.settings.iterations))
        return self.settings.learning_rate * warm_up * cosine

    @torch.inference_mode()
    def _feature_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature over training crops, [1, 384, 1, 1] each."""
        sums = torch.zeros(2, FEATURES, dtype=torch.float64)
        positions = 0
        for number in range(-(-STATISTICS_CROPS // self.settings.batch)):
            crops = self._crops.batch_at(STATISTICS_NUMBERS + number)
            features = self.features(crops.to(self.device, torch.float32)).double().cpu()
            sums += torch.stack([features.sum((0, 2, 3)), features.square().sum((0, 2, 3))])
            positions += features.numel() // features.shape[1]
        mean, mean_square = sums / positions
        std = (mean_square - mean.square()).clamp_min(1e-12).sqrt()
        return mean.float().view(1, -1, 1, 1).to(self.device), std.float().view(1, -1, 1, 1).to(self.device)


def _read_for_crops(path: Path, side: int) -> Image:
    """An image with its shorter side brought to that of a crop."""
    image = read_image(path)
    height, width = image.shape[:2]
    scale = side / min(height, width)
    return resize_image(image, round(height * scale), round(width * scale), AREA)


def _centre_crop(path: Path, side: int) -> Tensor:
    image = _read_for_crops(path, side)
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return _to_tensor(image[top : top + side, left : left + side])


def _to_tensor(image: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)))
