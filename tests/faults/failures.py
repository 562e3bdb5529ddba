"""What was not as it must be: counted by kind, the first few of each in words."""

from __future__ import annotations

from collections import Counter

SHOWN = 3  # Of each kind.


class Failures:
    """Failures, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.lines: list[str] = []

    def add(self, kind: str, text: str) -> None:
        """Adds one; `text` is a line."""
        self.counts[kind] += 1
        if self.counts[kind] <= SHOWN:
            self.lines.append(f"{kind}: {' '.join(text.split())}")
