"""Answers on record, as the page's JSON has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypedDict

from edgekd.station.line import payloads
from edgekd.station.line.payloads import ResultPayload
from edgekd.station.record.reading import Recorded


class ImagesKept(TypedDict):
    """Which images of an answer are on record."""

    original: bool
    heat_map: bool


class RecordedResult(ResultPayload):
    """An answer, and what became of it.

    Attributes:
        reviews: What people found the part to be, the oldest first: who, label, note, time_utc_ms.
        images: Which of its images are on record.
        operator: Who was at the line; "" where it is not known.
        delivered: acked, unread or late; "" where nobody acknowledged it yet.
    """

    reviews: list[dict[str, Any]]
    images: ImagesKept
    operator: str
    delivered: str


def recorded_result(recorded: Recorded) -> RecordedResult:
    """An answer on record as JSON has it.

    Args:
        recorded: As it was read.
    """
    kinds = {image.kind for image in recorded.images}
    return {
        **payloads.result(recorded.outcome),
        "reviews": [asdict(review) for review in recorded.reviews],
        "images": {"original": "original" in kinds, "heat_map": "heat_map" in kinds},
        "operator": recorded.operator,
        "delivered": recorded.delivered,
    }
