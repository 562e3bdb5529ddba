"""How an answer is put together from what was decided and what is known of its part."""

from __future__ import annotations

from edgekd.station.parts import Acquisition, Inspected, Outcome
from edgekd.station.rule_ok import Decision
from edgekd.station.shared import Shared
from edgekd.station.snapshot import Loaded


def outcome_of(
    shared: Shared,
    acquisition: Acquisition,
    loaded: Loaded | None,
    decision: Decision,
    inspected: Inspected | None = None,
    simulated: bool = False,
    self_test: bool = False,
) -> Outcome:
    """An answer with an id of its own.

    Args:
        shared: For the id and the time.
        acquisition: What was asked for.
        loaded: The recipe that judged; None where none was loaded.
        decision: By the rule OK.
        inspected: What the inspector said; None where it said nothing.
        simulated: Whether image or trigger were not a line's own.
        self_test: Whether this was a part of a master-part test.
    """
    return Outcome(
        result_id=shared.numbers.next_result(),
        acquisition_id=acquisition.acquisition_id,
        station=acquisition.station,
        part=acquisition.part,
        job=0 if loaded is None else loaded.job,
        recipe_id="" if loaded is None else loaded.recipe_id,
        revision=0 if loaded is None else loaded.revision,
        recipe_digest="" if loaded is None else loaded.digest,
        verdict=decision.verdict,
        error=decision.error,
        error_text=decision.text,
        inspected=inspected,
        source=acquisition.source,
        triggered_utc_ms=acquisition.triggered_utc_ms,
        published_utc_ms=shared.clock.utc_ms(),
        total_ms=(shared.clock.now() - acquisition.triggered) * 1000,
        simulated=simulated,
        self_test=self_test,
    )
