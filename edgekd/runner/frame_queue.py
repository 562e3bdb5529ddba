"""A queue that a thread fills with frames from their source, as many ahead as there is room for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")  # A frame, or the reading of one.


@dataclass(frozen=True)
class QueuedFrame(Generic[T]):
    """A frame, and how many of a live source were dropped just before it."""

    frame: T
    dropped: int


class FrameQueue(Generic[T]):
    """Frames of a source, taken ahead of whoever consumes them. Use it as a context manager.

    A source that can wait is made to. One that is live cannot: while the queue is full, its oldest frame is dropped and
    counted.

    Args:
        frames: The source; a thread of its own iterates over it.
        ahead: Most frames in the queue.
        live: Whether the source cannot wait.
    """

    def __init__(self, frames: Iterator[T], ahead: int, live: bool) -> None:
        self._dropped = 0  # Since a frame was last taken.
        self._frames = frames
        self._ahead = ahead
        self._live = live
        self._held: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._take, name="frame queue", daemon=True)

    def __enter__(self) -> FrameQueue[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        # A camera that delivers no frame blocks its thread; a line that stops does not wait for it.
        self._thread.join(timeout=None if not self._live else 2.0)

    def get(self, wait: bool) -> QueuedFrame[T] | None:
        """The next frame.

        Args:
            wait: Whether to wait for one where the queue is empty.

        Returns:
            None where the queue is empty and nobody waits, or the source has ended; see `ended`.
        """
        with self._changed:
            while wait and not self._held and not self._ended:
                self._changed.wait()
            if self._held:
                taken = QueuedFrame(self._held.popleft(), self._dropped)
                self._dropped = 0
                self._changed.notify_all()
                return taken
            return None

    @property
    def ended(self) -> bool:
        """Whether the source has ended and the queue is empty."""
        with self._changed:
            return self._ended and not self._held

    def raise_failure(self) -> None:
        """Raises the source's exception, if it ended with one; to be called once its frames are answered."""
        if self._failure is not None:
            raise self._failure

    def _take(self) -> None:
        try:
            for frame in self._frames:
                if not self._put(frame):
                    break
        except BaseException as failure:  # For whoever consumes the frames.
            self._failure = failure
        finally:
            close = getattr(self._frames, "close", None)  # A generator's, which releases the camera.
            if close is not None:
                close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, frame: T) -> bool:
        with self._changed:
            if self._live and len(self._held) == self._ahead:
                self._held.popleft()
                self._dropped += 1
            while len(self._held) == self._ahead and not self._stopped:
                self._changed.wait()
            if self._stopped:
                return False
            self._held.append(frame)
            self._changed.notify_all()
            return True
