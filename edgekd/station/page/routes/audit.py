"""The audit trail: who changed what, and whether nothing of it was changed since."""

from __future__ import annotations

import threading
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from edgekd.station.page.context import Page, page_of
from edgekd.station.page.evaluating import evaluate
from edgekd.station.page.guard import needs
from edgekd.station.page.roles import Role, User
from edgekd.verdicts.audit import Trail, verify_trail

router = APIRouter()
VERIFIED_S = 30.0  # For which the whole chain, which takes 0.1 s for 10,000 entries, is not read again.


class Verification:
    """The chain as it was found to be a moment ago. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: tuple[str, int, float, Trail] | None = None

    def of(self, page: Page) -> Trail:
        """Whether the chain of a page's record is whole."""
        newest = next(iter(page.record.entries(1)), None)
        key = str(page.record.path), 0 if newest is None else newest.id
        with self._lock:
            if self._found is None or self._found[:2] != key or time.monotonic() - self._found[2] > VERIFIED_S:
                self._found = (*key, time.monotonic(), evaluate(page.record.path, verify_trail))
            return self._found[3]


verification = Verification()


@router.get("/api/audit")
def audit(
    page: Annotated[Page, Depends(page_of)],
    user: Annotated[User, Depends(needs(Role.SUPERVISOR))],
    before_id: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Entries, the newest first, and whether the whole chain holds."""
    entries = page.record.entries(limit, before_id)
    trail = verification.of(page)
    return {
        "entries": [entry._asdict() for entry in entries],
        "next_before_id": entries[-1].id if len(entries) == limit and entries[-1].id > 1 else None,
        "whole": not trail.broken,
        "broken": trail.broken,
        "count": trail.entries,
        "head": trail.head,
    }
