"""Frames on their way in: taken from their source by a thread, as many ahead as there is room for, no more."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")  # A frame, or the reading of one.


@dataclass(frozen=True)
class Taken(Generic[T]):
    """A frame, and how many of a live source were dropped just before it."""

    frame: T
    dropped: int


class Intake(Generic[T]):
    """Takes frames from a source, ahead of whoever asks for them.

    A source that can wait is made to. One that is live cannot: of its frames the oldest that nobody asked for yet is
    dropped and counted. Use it as a context manager.

    Args:
        frames: The source; a thread of its own asks it.
        ahead: Frames that are held at most.
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
        self._thread = threading.Thread(target=self._take, name="intake", daemon=True)

    def __enter__(self) -> Intake[T]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        # A camera that gives no frame blocks its thread; a line that stops does not wait for it.
        self._thread.join(timeout=None if not self._live else 2.0)

    def get(self, wait: bool) -> Taken[T] | None:
        """The next frame.

        Args:
            wait: For one, where none is held; otherwise the answer is None.

        Returns:
            None where the source has ended, too; `ended` tells.
        """
        with self._changed:
            while wait and not self._held and not self._ended:
                self._changed.wait()
            if self._held:
                taken = Taken(self._held.popleft(), self._dropped)
                self._dropped = 0
                self._changed.notify_all()
                return taken
            return None

    @property
    def ended(self) -> bool:
        """Whether all frames were taken."""
        with self._changed:
            return self._ended and not self._held

    def raise_failure(self) -> None:
        """Raises what the source raised, if it ended so; to be called once its frames are answered."""
        if self._failure is not None:
            raise self._failure

    def _take(self) -> None:
        try:
            for frame in self._frames:
                if not self._put(frame):
                    break
        except BaseException as failure:  # It belongs to whoever asks for frames.
            self._failure = failure
        finally:
            close = getattr(self._frames, "close", None)  # A generator's, which lets go of the camera.
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
