"""How often each score occurs among very many, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_LEVELS = 1 << 23
MOST_PENDING = 1 << 22

Keys = NDArray[np.uint32]
Totals = NDArray[np.float64]


class ScoreHistogram:
    """Weights summed by score, in one pass over the scores.

    Scores are kept exactly as long as they take at most `MOST_LEVELS` different values. Beyond that the lowest bits of
    the float32 numbers are dropped, as few as needed: there are 2^24 float32 numbers from 0.25 to 1, so for them one
    bit is enough. The reason is memory: 1,000 maps of 1024 x 1024 pixels would take 4 GB to keep and more to sort,
    while the histograms of all pixel metrics were measured to take at most 0.8 GB.
    """

    def __init__(self) -> None:
        self._shift = 0
        self._keys: Keys = np.empty(0, np.uint32)
        self._totals: Totals = np.empty(0, np.float64)
        self._pending: list[tuple[Keys, Totals | None]] = []
        self._waiting = 0

    def add(self, scores: NDArray[np.float32], weights: Totals | None = None) -> None:
        """Counts scores.

        Args:
            scores: float32 [N], finite.
            weights: float64 [N]; None for 1 each.
        """
        self._pending.append((ordered_keys(scores) >> np.uint32(self._shift), weights))
        self._waiting += scores.size
        if self._waiting > MOST_PENDING:
            self._merge()

    @property
    def shift(self) -> int:
        """How many bits were dropped."""
        self._merge()
        return self._shift

    def levels(self, shift: int) -> tuple[Keys, Totals]:
        """The counts.

        Args:
            shift: How many bits to drop, at least as many as were dropped already.

        Returns:
            The different keys, ascending, and the sum of the weights of each.
        """
        self._merge()
        return _coarser(self._keys, self._totals, shift - self._shift)

    def _merge(self) -> None:
        pending, self._pending, self._waiting = self._pending, [], 0
        if not pending:
            return
        new_keys, new_totals = _distinct(pending)
        keys = distinct_keys(self._keys, new_keys)
        totals = np.zeros(keys.size, np.float64)
        totals[np.searchsorted(keys, self._keys)] = self._totals
        totals[np.searchsorted(keys, new_keys)] += new_totals
        dropped = bits_to_drop(keys)
        self._keys, self._totals = _coarser(keys, totals, dropped)
        self._shift += dropped


def ordered_keys(scores: NDArray[np.float32]) -> Keys:
    """Integers in the same order as the scores, and equal where those are: almost the bits of a float32."""
    bits = (np.ascontiguousarray(scores, np.float32) + np.float32(0)).view(np.uint32)  # The sum turns -0 into 0.
    sign = np.uint32(1 << 31)
    return np.where(bits & sign, ~bits, bits | sign)


def distinct_keys(*parts: Keys) -> Keys:
    """The different keys of all parts, ascending."""
    # np.unique and np.union1d take a hundred times as long for millions of numbers: NumPy 2.3 hashes them.
    keys = np.sort(np.concatenate(parts))
    return keys[_where_new(keys)]


def bits_to_drop(keys: Keys) -> int:
    """How many of the lowest bits to drop so that at most `MOST_LEVELS` different keys are left.

    Args:
        keys: uint32 [N], ascending.
    """
    dropped, different = 0, keys.size
    while different > MOST_LEVELS:
        dropped += 1
        different = _where_new(keys >> np.uint32(dropped)).size
    return dropped


def _distinct(pending: list[tuple[Keys, Totals | None]]) -> tuple[Keys, Totals]:
    """The different keys, ascending, and the sum of the weights of each."""
    keys = np.concatenate([part for part, _ in pending])
    if all(weights is None for _, weights in pending):
        different, counts = np.unique(keys, return_counts=True)
        return different, np.asarray(counts, np.float64)
    weights = np.concatenate([np.ones(part.size) if given is None else given for part, given in pending])
    different, places = np.unique(keys, return_inverse=True)
    return different, np.asarray(np.bincount(places, weights), np.float64)


def _coarser(keys: Keys, totals: Totals, dropped: int) -> tuple[Keys, Totals]:
    """Levels with bits dropped; those that become equal are added up."""
    if dropped == 0 or keys.size == 0:
        return keys, totals
    keys = keys >> np.uint32(dropped)
    first = _where_new(keys)
    added: Totals = np.add.reduceat(totals, first)
    return keys[first], added


def _where_new(keys: Keys) -> NDArray[np.intp]:
    """Where ascending keys differ from the one before."""
    return np.flatnonzero(np.concatenate([[keys.size > 0], keys[1:] != keys[:-1]]))
