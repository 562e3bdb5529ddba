"""What frozen networks make of an image: computed once where it fits into memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgekd.models.detector import Detector, Targets
from edgekd.training.memory import available_memory

SHARE_OF_AVAILABLE_MEMORY = 0.5

logger = logging.getLogger("edgekd.training")


class MapCache:
    """Maps by number, computed when they are first asked for. The first numbers are kept, as many as fit into memory.

    Kept maps lie in one tensor for each map of a number, channels last: [numbers, h, w, C].

    Args:
        compute: The maps of a number, [1, C, h, w] each; the same each time.
        count: Of the numbers.
        dtype: In which maps are kept: float32, or bfloat16 for half the memory.
        purpose: What is kept, for the line that is logged where not all of it fits; empty for none.
    """

    def __init__(self, compute: Callable[[int], Targets], count: int, dtype: torch.dtype, purpose: str = "") -> None:
        self._compute, self._count, self._dtype, self._purpose = compute, count, dtype, purpose
        self._kept: tuple[Tensor, ...] | None = None
        self._filled: list[bool] = []  # One entry for each number that there is room for.

    def get(self, numbers: Sequence[int]) -> Targets:
        """The maps of several numbers, float32 [N, C, h, w] each."""
        beyond = {number: maps for number in numbers if (maps := self._fill(number)) is not None}
        if self._purpose and len(self._filled) < self._count:
            self._log_shortage()
        if not beyond:
            return self._rows(numbers)
        each = [beyond[number] if number in beyond else self._rows([number]) for number in numbers]
        return tuple(torch.cat(maps) for maps in zip(*each, strict=True))

    def adopt(self, other: MapCache, change: Callable[[Targets], Targets]) -> None:
        """Takes over what another cache holds, changed; in place where both keep alike. The other is done with then."""
        held = [number for number, filled in enumerate(other._filled) if filled]
        if (self._count, self._dtype) == (other._count, other._dtype):
            self._kept, self._filled = other._kept, other._filled
        for number in held:
            maps = change(other._rows([number]))
            if self._kept is None:
                self._make_room(maps, soon_free=other.nbytes())
            if number < len(self._filled):
                self._put(number, maps)
        other._kept, other._filled = None, []

    def nbytes(self) -> int:
        """Bytes of memory that maps are kept in, filled or not."""
        return sum(maps.untyped_storage().nbytes() for maps in self._kept or ())

    def _fill(self, number: int) -> Targets | None:
        """Computes and keeps what is not kept yet; returns it where there is no room for it."""
        if number < len(self._filled) and self._filled[number]:
            return None
        maps = self._compute(number)
        if self._kept is None:
            self._make_room(maps)
        if number >= len(self._filled):
            return maps
        self._put(number, maps)
        return None

    def _make_room(self, like: Targets, soon_free: int = 0) -> None:
        each = sum(entry.numel() for entry in like) * self._dtype.itemsize
        usable = (available_memory(like[0].device) + soon_free) * SHARE_OF_AVAILABLE_MEMORY
        room = min(self._count, int(usable) // each)
        self._kept = tuple(
            torch.empty((room, *entry.shape[2:], entry.shape[1]), dtype=self._dtype, device=entry.device)
            for entry in like
        )
        self._filled = [False] * room

    def _put(self, number: int, maps: Targets) -> None:
        for kept, entry in zip(self._kept or (), maps, strict=True):
            kept[number] = entry[0].permute(1, 2, 0)
        self._filled[number] = True

    def _rows(self, numbers: Sequence[int]) -> Targets:
        assert self._kept is not None
        places = torch.tensor(numbers, device=self._kept[0].device)
        return tuple(kept.index_select(0, places).float().permute(0, 3, 1, 2) for kept in self._kept)

    def _log_shortage(self) -> None:
        each = sum(math.prod(kept.shape[1:]) * kept.itemsize for kept in self._kept or ())
        logger.warning(
            "%s: there is room for %d of %d; the others are computed again each time (all would take %.1f GB: "
            "a smaller --size needs less)",
            self._purpose,
            len(self._filled),
            self._count,
            each * self._count / 1e9,
        )
        self._purpose = ""  # Once is enough.


class TargetCache:
    """The teacher's outputs by image, made ready for the loss.

    The teacher always sees one image alone, so that its output does not depend on what was kept.

    Args:
        detector: Whose teacher it is.
        images: The image [1, 3, H, W] of a number. The first `count` numbers are the images as they are, the next the
            first variant of each, and so on.
        count: Of the images.
        variants: Of each image, itself included.
        dtype: In which they are kept: float32, or bfloat16 where the run computes in it.
    """

    def __init__(
        self,
        detector: Detector,
        images: Callable[[int], Tensor],
        count: int,
        variants: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._detector, self._images, self._count = detector, images, count
        self._ready = MapCache(self._compute_ready, count * variants, dtype, "the teacher's outputs for the images")

    def prepare(self) -> None:
        """Lets the detector measure its statistics of the images, before the first `get`."""
        raw = MapCache(self._compute, self._count, torch.float32)
        self._detector.prepare(raw.get([number]) for number in range(self._count))
        self._ready.adopt(raw, self._detector.ready_targets)  # What was computed to be measured is not computed again.

    def get(self, numbers: Sequence[int]) -> Targets:
        """The targets of several images, float32 [N, C, h, w] each, on the detector's device."""
        return self._ready.get(numbers)

    def _compute(self, number: int) -> Targets:
        return self._detector.targets(self._images(number))

    def _compute_ready(self, number: int) -> Targets:
        return self._detector.ready_targets(self._compute(number))
