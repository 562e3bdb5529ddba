"""How parts are counted."""

from __future__ import annotations

from dataclasses import replace

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.parts import Outcome
from edgekd.station.snapshot import Counters

MISSED = frozenset({ErrorCode.TRIGGER_NOT_READY, ErrorCode.TRIGGER_DISABLED, ErrorCode.OVERRUN})


def counted(counters: Counters, outcome: Outcome) -> Counters:
    """The counters with one more answer.

    A trigger that was missed is an ERROR, since its part was not inspected. It neither continues nor ends a row of
    verdicts: it says something of the PLC's handshake and nothing of parts or camera. Master parts are not counted.

    Args:
        counters: Until now.
        outcome: That was published.
    """
    if outcome.self_test:
        return counters
    if outcome.error in MISSED:
        return replace(counters, error=counters.error + 1, missed=counters.missed + 1)
    if outcome.verdict is Verdict.ERROR:
        return replace(counters, error=counters.error + 1, errors_in_a_row=counters.errors_in_a_row + 1, ng_in_a_row=0)
    if outcome.verdict is Verdict.NG:
        return replace(counters, ng=counters.ng + 1, ng_in_a_row=counters.ng_in_a_row + 1, errors_in_a_row=0)
    return replace(counters, ok=counters.ok + 1, ng_in_a_row=0, errors_in_a_row=0)
