"""How long images are kept: they are removed by age, count and free disk, those of OK parts first. Verdicts stay."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from edgekd.verdicts.log import VerdictLog

logger = logging.getLogger(__name__)

SLACK = 0.05  # Of a limit: so much more is removed at once, so that not every new image removes another one.
AGE_EVERY_SECONDS = 60.0
AT_ONCE = 256
DAY_MS = 86_400_000


@dataclass(frozen=True)
class KeepImages:
    """What images are kept; None for no such limit.

    Attributes:
        days: Older ones are removed.
        images: The most that are kept.
        free: Bytes of the disk that stay free.
    """

    days: float | None = None
    images: int | None = None
    free: int | None = None


class Retention:
    """Removes images beyond the limits. What is removed is counted, and on record in the log.

    Args:
        folder: The log's; the paths of images are relative to it.
        log: Holds which images there are. Only those are ever removed.
        keep: The limits.

    Attributes:
        removed: How many images were removed.
    """

    def __init__(self, folder: Path, log: VerdictLog, keep: KeepImages) -> None:
        self._folder, self._log, self._keep = folder, log, keep
        self._count = log.count_kept_images() if keep.images is not None else 0
        self._aged = -AGE_EVERY_SECONDS
        self._stuck: set[int] = set()
        self.removed = 0

    def added(self, count: int = 1) -> None:
        """Counts images that were written."""
        self._count += count

    def tidy(self) -> None:
        """Removes what is beyond the limits now."""
        keep = self._keep
        if keep.days is not None and time.monotonic() - self._aged >= AGE_EVERY_SECONDS:
            self._aged = time.monotonic()
            before = self._log.clock.now_ms() - int(keep.days * DAY_MS)
            self._remove(f"older than {keep.days:g} days", before_ms=before)
        if keep.images is not None and self._count > keep.images:
            surplus = self._count - keep.images + int(SLACK * keep.images)
            self._remove(f"more than {keep.images}", count=surplus)
        if keep.free is not None and (free := free_bytes(self._folder)) < keep.free:
            wanted = int((1 + SLACK) * keep.free) - free
            self._remove(f"less than {megabytes(keep.free)} free on the disk", size=wanted)

    def _remove(
        self, why: str, before_ms: int | None = None, count: int | None = None, size: int | None = None
    ) -> None:
        """Removes the images that go first, up to a count or a number of bytes, or all of them."""
        removed = total = 0
        while (count is None or removed < count) and (size is None or total < size):
            most = AT_ONCE if count is None else min(AT_ONCE, count - removed)
            found = self._log.kept_images(most + len(self._stuck), before_ms)
            batch = [image for image in found if image[0] not in self._stuck][:most]
            if not batch:
                break
            gone = []
            for number, path, length in batch:
                if size is not None and total >= size:
                    break
                if self._unlink(number, path):
                    gone.append(number)
                    total += length
            self._log.remove_images(gone)
            removed += len(gone)
        self._count -= removed
        self.removed += removed
        if removed:
            images = "1 image" if removed == 1 else f"{removed} images"
            self._log.event("images_removed", f"removed {images} ({megabytes(total)}): {why}", removed)

    def _unlink(self, number: int, path: str) -> bool:
        """Removes a file; True where it is gone."""
        try:
            remove_image_file(self._folder, path)
        except OSError as error:
            self._stuck.add(number)
            if len(self._stuck) == 1:
                logger.warning("cannot remove %s: %s", self._folder / path, error.strerror or error)
            return False
        return True


def remove_image_file(folder: Path, path: str) -> None:
    """Removes an image and the folders that are empty without it; one that is gone already is fine.

    Args:
        folder: The log's.
        path: Of the image, relative to it.

    Raises:
        OSError: It cannot be removed, or is outside of the log's folder.
    """
    file = folder / path
    if not file.resolve().is_relative_to(folder.resolve()):
        raise OSError("it is outside of the log's folder")
    file.unlink(missing_ok=True)
    for parent in file.parents:
        if parent == folder:
            break
        with contextlib.suppress(OSError):  # It is not empty.
            parent.rmdir()


def free_bytes(folder: Path) -> int:
    """The bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free


def megabytes(size: int) -> str:
    """A size for people, such as "1.5 GB" or "12 MB"."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
