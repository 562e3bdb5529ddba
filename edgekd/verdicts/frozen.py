"""A camera that gives the same frame again and again, whatever lies before it."""

from __future__ import annotations

import cv2
import numpy as np

from edgekd.data.images import Image

# A camera's noise makes two frames differ always, but a driver may give one twice where it is asked faster than the
# sensor delivers. The third is not chance.
LIVE_FRAMES = 3
# Where nothing moves, a video's codec stores "as before", and decoded frames are equal until its next whole frame,
# often after 12 to 60 frames and by the encoders' defaults after 250. A recording that is equal for longer was frozen.
VIDEO_FRAMES = 300


def digest(image: Image) -> bytes:
    """What tells frames apart: sums of all pixels by rows and by columns, exact.

    Args:
        image: uint8 [H, W, 3], BGR.
    """
    flat = image.reshape(image.shape[0], -1)
    rows = cv2.reduce(flat, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    columns = cv2.reduce(flat, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return np.concatenate([np.ravel(rows), np.ravel(columns)]).tobytes()


class FrozenCamera:
    """Counts equal frames in a row.

    Args:
        frames: From so many on the camera counts as frozen.
    """

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._last: bytes | None = None
        self._count = 0

    def failure(self, seen: bytes) -> str | None:
        """Why a frame cannot be judged: it is the one before, again; None where it is not.

        Args:
            seen: The frame's digest; frames come in their order.
        """
        self._count = self._count + 1 if seen == self._last else 1
        self._last = seen
        if self._count < self._frames:
            return None
        return f"frozen: the same frame {self._count} times in a row: check the camera and its cable"
