"""Watches whether a line is still the one that the detector was trained for: recent values beside the good images'.

It compares ranks, not values, so that it holds for every system: how many of the last parts score below the median of
the good images. On an unchanged line that count has one law whatever the scores' distribution (the precedence test: a
beta-binomial law, which accounts for how uncertain a median of few good images is). Defective parts score high, so that
they can only lower the count; a quarter of them is allowed for.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np

from edgekd.artifact import Manifest
from edgekd.result import AnomalyResult, Verdict
from edgekd.verdicts.image_checks import Statistics

WINDOWS = (40, 200)  # Parts: a jump is found within the first, a drift of less than a deviation within the second.
DEFECTIVE_SHARE = 0.25  # Of the parts of a window; more of them are themselves worth a line.
# Each part is tested in two windows and to two sides: together less than one false alarm in 100,000 parts.
FALSE_ALARMS = 2e-6
CALM, CALM_WINDOW = 0.05, 100  # Values are back where so many have, on each side, a count that is no rarer than this.
# Light and focus differ between batches of good parts: half of a window must lie beyond this share of the good images.
EDGE = 0.05


@dataclass(frozen=True)
class Window:
    """What a window of recent values is compared with.

    Attributes:
        size: Values in it.
        low, high: Values below `low` count as low, above `high` as high.
        most_low, most_high: Counts up to which nothing has moved.
    """

    size: int
    low: float
    high: float
    most_low: int
    most_high: int


class Monitor:
    """Watches one kind of value of the parts as they come.

    Args:
        windows: In each of which values may have moved, the shortest first.
        calm: In which they are back.
        moved_up, moved_down, back: What is said when the values move, and when they are back; "{since}" is replaced.

    Attributes:
        moved: What was said, as long as the values have not come back; None while nothing has moved.
    """

    def __init__(self, windows: Sequence[Window], calm: Window, moved_up: str, moved_down: str, back: str) -> None:
        self._windows, self._calm = windows, calm
        self._texts = {1: moved_up, -1: moved_down}
        self._back = back
        self._recent: deque[tuple[float, str, datetime]] = deque(maxlen=max(windows[-1].size, calm.size))
        self.moved: str | None = None

    def add(self, value: float, name: str, at: datetime | None = None) -> str | None:
        """Takes the next part's value.

        Args:
            value: What is not finite is left out.
            name: The part's, to be named where the values moved with it.
            at: When it was inspected; None for now.

        Returns:
            One line when the values have moved, and when they are back; otherwise None.
        """
        if not math.isfinite(value):
            return None
        self._recent.append((value, name, at or datetime.now()))
        if self.moved is None:
            return self._look()
        if len(self._recent) >= self._calm.size and not self._side(self._calm):
            self.moved = None
            self._recent.clear()
            return self._back
        return None

    def _look(self) -> str | None:
        for window in self._windows:
            if len(self._recent) < window.size:
                break
            if side := self._side(window):
                self.moved = self._texts[side].format(since=self._since(window, side))
                self._recent.clear()  # Those of before the move must not count as being back.
                return self.moved
        return None

    def _side(self, window: Window) -> int:
        """Where the values of a window have moved to: 1 up, -1 down, 0 nowhere."""
        values = [value for value, _, _ in islice(reversed(self._recent), window.size)]
        if sum(value > window.high for value in values) > window.most_high:
            return 1
        return -1 if sum(value < window.low for value in values) > window.most_low else 0

    def _since(self, window: Window, side: int) -> str:
        """The first part of the stretch up to now in which most values are beyond the limit."""
        beyond = np.array([value > window.high if side > 0 else value < window.low for value, _, _ in self._recent])
        # Of all stretches up to now the one with the most such values over three quarters of its length.
        surplus = np.cumsum((beyond - 0.75)[::-1])
        first = len(self._recent) - 1 - int(np.argmax(surplus))
        _, name, at = self._recent[first]
        return f"{at:%H:%M} ({name})" if name else f"{at:%H:%M}"


class LineMonitor:
    """Watches scores, light and focus of a line, as far as the artifact's manifest holds those of the good images.

    Args:
        manifest: The artifact's.
    """

    def __init__(self, manifest: Manifest) -> None:
        # Scores of images that were trained on may be among them: how sure the median is depends on the others.
        held_out = (manifest.get("threshold") or {}).get("good_images")
        self._scores = score_monitor(manifest.get("good_scores"), held_out)
        self._images = image_monitors(manifest.get("image_checks"))

    @property
    def moved(self) -> tuple[str, ...]:
        """What has moved and is not back yet, a line each."""
        monitors = [*([self._scores] if self._scores else []), *self._images.values()]
        return tuple(monitor.moved for monitor in monitors if monitor.moved is not None)

    def add(
        self, result: AnomalyResult, seen: Statistics | None, name: str, at: datetime | None = None
    ) -> tuple[str, ...]:
        """Takes the next part; one without a clean answer is left out.

        Args:
            result: The part's.
            seen: What the checks of its image measured; None where there are none.
            name: The part's.
            at: When it was inspected; None for now.

        Returns:
            What has moved with this part, or is back, a line each.
        """
        if result.verdict is Verdict.ERROR:
            return ()
        notices = [self._scores.add(result.score, name, at)] if self._scores else []
        if seen is not None:
            notices += [monitor.add(getattr(seen, of), name, at) for of, monitor in self._images.items()]
        return tuple(notice for notice in notices if notice is not None)


def score_monitor(good_scores: Mapping[str, Any] | None, held_out: int | None = None) -> Monitor | None:
    """Watches scores.

    Args:
        good_scores: The manifest's entry: `count`, and `quantiles` as pairs of share and score.
        held_out: How many of them the detector was not trained on; None for all.

    Returns:
        None where the manifest has none.
    """
    if not good_scores or not good_scores.get("quantiles"):
        return None
    count = min(int(good_scores["count"]), held_out or int(good_scores["count"]))
    median = _quantile(good_scores["quantiles"], 0.5)
    return Monitor(
        [_rank_window(size, median, count, FALSE_ALARMS) for size in WINDOWS],
        _rank_window(CALM_WINDOW, median, count, CALM),
        "scores have moved up since {since}: check light, focus and position",
        "scores have moved down since {since}: check light, focus and position",
        "scores are back where those of the good images are",
    )


def image_monitors(image_checks: Mapping[str, Any] | None) -> dict[str, Monitor]:
    """Watch the light and the focus of images that pass their checks, where the good images themselves differ.

    Args:
        image_checks: The manifest's entry, with `quantiles` of `level` and `sharpness`.

    Returns:
        By the name of the statistic; empty where the manifest has none.
    """
    texts = {
        "level": ("brighter", "darker", "brightness is", "check the lamp"),
        "sharpness": ("sharper", "more blurred", "sharpness is", "check focus and lens"),
    }
    monitors = {}
    kept = (image_checks or {}).get("quantiles") or {}
    for name, (more, less, what, remedy) in texts.items():
        if not (quantiles := kept.get(name)):
            continue
        line = "images have been {} than the good ones since {{since}}: {}"
        size, low, high = WINDOWS[0], _quantile(quantiles, EDGE), _quantile(quantiles, 1 - EDGE)
        moved, calm = Window(size, low, high, size // 2, size // 2), Window(size, low, high, size // 4, size // 4)
        back = f"{what} back where that of the good images is"
        monitors[name] = Monitor([moved], calm, line.format(more, remedy), line.format(less, remedy), back)
    return monitors


def _rank_window(size: int, median: float, count: int, rarity: float) -> Window:
    # Defective parts are never low, so that only the others of a window can be.
    fewest_low, _ = _tail_counts(round(size * (1 - DEFECTIVE_SHARE)), count, rarity)
    _, most_low = _tail_counts(size, count, rarity)
    return Window(size, median, median, most_low, size - fewest_low)


def _tail_counts(size: int, count: int, rarity: float) -> tuple[int, int]:
    """Fewest and most of so many new values that lie below the median of `count` old ones.

    Where new and old values are alike, fewer than these have at most the probability `rarity`, and so have more.
    """
    rank = (count + 1) / 2
    logs = [
        math.lgamma(size + 1) - math.lgamma(k + 1) - math.lgamma(size - k + 1)
        + math.lgamma(k + rank) + math.lgamma(size - k + rank) - math.lgamma(size + 2 * rank)
        + math.lgamma(2 * rank) - 2 * math.lgamma(rank)
        for k in range(size + 1)
    ]  # fmt: skip
    below = np.cumsum(np.exp(logs))  # The law is symmetric about half of the size.
    fewest = int(np.searchsorted(below, rarity, side="right"))
    return fewest, size - fewest


def _quantile(quantiles: Sequence[Sequence[float]], share: float) -> float:
    """A quantile, between those that are kept."""
    return float(np.interp(share, [each[0] for each in quantiles], [each[1] for each in quantiles]))
