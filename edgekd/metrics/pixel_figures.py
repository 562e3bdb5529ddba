"""The pixel metrics of a test set by their names, collected image by image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd.metrics.auroc import pixel_auroc_of
from edgekd.metrics.average_precision import pixel_ap
from edgekd.metrics.iap import instance_average_precision
from edgekd.metrics.pixel_scores import PixelScores, Region, connected_regions, seen
from edgekd.metrics.pro import SPRO_FURTHER_LIMITS, SPRO_LIMIT, pro, pro_rd4ad


class PixelFigures:
    """Pixel AUROC and AP, both forms of PRO, IAP and IAP@90.

    Attributes:
        empty_masks: Defective images whose mask marks no pixel. They are left out: where the defect is, is unknown.
        unseen_defects: Defective images whose defect lies wholly where the view does not look. They are left out.
    """

    def __init__(self) -> None:
        self.empty_masks = self.unseen_defects = 0
        self._unseen = self._all = 0
        self._scores = PixelScores()
        self._pros: list[float] = []

    def add(
        self,
        anomaly_map: NDArray[np.float32],
        mask: NDArray[np.bool_] | None,
        unseen: NDArray[np.bool_] | None = None,
    ) -> None:
        """Counts an image.

        Args:
            anomaly_map: float32 [H, W], higher is more anomalous.
            mask: bool [H, W], True where defective; None for a good image.
            unseen: bool [H, W], True where the view does not look; None where it looks everywhere.

        Raises:
            EdgekdError: Map and mask differ in size, or the score of a pixel that is looked at is not finite.
        """
        if mask is not None and not mask.any():
            self.empty_masks += 1
            return
        self._all += anomaly_map.size
        self._unseen += 0 if unseen is None else int(np.count_nonzero(unseen))
        if mask is not None and unseen is not None and not (mask & ~unseen).any():
            self.unseen_defects += 1
            return
        defective = np.zeros(anomaly_map.shape, np.bool_) if mask is None else mask
        regions = [] if mask is None else connected_regions(mask)
        scores, defective, regions = seen(anomaly_map, defective, regions, unseen)
        self._scores.add(scores, defective, regions)
        if mask is not None and not defective.all():
            self._pros.append(pro_rd4ad(scores, regions))

    @property
    def unseen_pixels(self) -> float:
        """Pixels where the view does not look, as a share of all."""
        return self._unseen / self._all if self._all else 0.0

    def figures(self) -> dict[str, float | None]:
        """The figures, 0..1, by their names; "pro_rd4ad" is None where no image has good and defective pixels.

        Raises:
            EdgekdError: No image had a defective pixel, or none a good one.
        """
        levels = self._scores.levels()
        return {
            "pixel_auroc": pixel_auroc_of(levels),
            "pixel_ap": pixel_ap(levels),
            "pro": pro(levels),
            "pro_rd4ad": float(np.mean(self._pros)) if self._pros else None,
            **instance_average_precision(levels)._asdict(),
        }


class SproFigures:
    """sPRO of each kind of anomaly, each against all good images, and the mean over the kinds.

    Args:
        kinds: Such as "logical" and "structural".
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self._scores = {kind: PixelScores() for kind in kinds}

    def add(
        self,
        anomaly_map: NDArray[np.float32],
        kind: str | None,
        regions: Sequence[Region],
        unseen: NDArray[np.bool_] | None = None,
    ) -> None:
        """Counts an image.

        Args:
            anomaly_map: float32 [H, W], in the size of the original image, higher is more anomalous.
            kind: The kind of its anomaly; None for a good image.
            regions: The image's defects; pixels outside all of them are good.
            unseen: bool [H, W], True where the view does not look; None where it looks everywhere.

        Raises:
            EdgekdError: A pixel's score is not finite.
        """
        mask = np.zeros(anomaly_map.shape, np.bool_)
        for region in regions:
            mask.ravel()[region.pixels] = True
        for each in self._scores if kind is None else [kind]:
            self._scores[each].add(*seen(anomaly_map, mask, regions, unseen))

    def figures(self) -> dict[str, float]:
        """The figures, 0..1: "spro" and "spro_<kind>" to a false positive rate of 0.05, "spro_to_<limit>" beyond.

        Raises:
            EdgekdError: A kind has no region.
        """
        levels = {kind: scores.levels() for kind, scores in self._scores.items()}
        by_kind = {f"spro_{kind}": pro(each, SPRO_LIMIT) for kind, each in levels.items()}
        further = {
            f"spro_to_{limit:g}": float(np.mean([pro(each, limit) for each in levels.values()]))
            for limit in SPRO_FURTHER_LIMITS
        }
        return {"spro": float(np.mean(list(by_kind.values()))), **by_kind, **further}
