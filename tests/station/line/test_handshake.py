"""The handshake's logic: edges of a PLC's bits become requests, and what the station shows becomes bits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgekd.result import Verdict
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line import handshake as h
from edgekd.station.line.handshake import Handshake, HeartbeatWatch
from edgekd.station.line.modbus_map import COIL_SIGNALS
from edgekd.station.parts import Part
from edgekd.station.snapshot import Snapshot
from edgekd.station.states import State

from .scripted_station import loaded, outcome_of

PART = Part(41, "S-41", "lot 3")
READY = Snapshot("left", State.READY, online=True, trigger_ready=True, recipe=loaded())
WAITING = Snapshot("left", State.RUNNING, results_ready=True, outcome=outcome_of(PART, result_id=5), recipe=loaded())
EDGES = {
    h.TRIGGER: h.TriggerPart(PART),
    h.JOB_CHANGE: h.ChangeJob(8),
    h.CLEAR_ERROR: h.ClearError(),
    h.SELF_TEST: h.StartSelfTest(),
    h.RESET_COUNTERS: h.ResetCounters(),
    h.REJECT_CONFIRMED: h.ConfirmReject(41),
}
ALL_COILS = sum(1 << signal.address for signal in COIL_SIGNALS)


def written(handshake: Handshake, coils: int, snapshot: Snapshot = READY) -> list[h.Request]:
    return handshake.write(coils, 8, PART, snapshot)


@pytest.mark.parametrize("coil", EDGES)
def test_a_rising_edge_asks_once_and_a_level_that_stays_or_falls_asks_nothing(coil):
    handshake = Handshake()
    assert written(handshake, coil) == [EDGES[coil]]
    assert written(handshake, coil) == []
    assert written(handshake, 0) == []
    assert written(handshake, coil) == [EDGES[coil]]


@pytest.mark.parametrize(
    ("coil", "kind"), [(h.TRIGGER_ENABLE, h.EnableTriggers), (h.SET_ONLINE, h.SetOnline)], ids=["enable", "online"]
)
def test_a_level_asks_at_both_changes(coil, kind):
    handshake = Handshake()
    assert written(handshake, coil) == [kind(True)]
    assert written(handshake, coil) == []
    assert written(handshake, 0) == [kind(False)]


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_any_two_writes_ask_for_what_changed_and_the_trigger_comes_last(first, second):
    handshake = Handshake()
    handshake.read(WAITING)
    written(handshake, first, READY)
    handshake.read(WAITING)
    requests = written(handshake, second, WAITING)
    rising, changed = second & ~first, second ^ first
    expected = {EDGES[coil] for coil in EDGES if rising & coil}
    expected |= {h.EnableTriggers(bool(second & h.TRIGGER_ENABLE))} if changed & h.TRIGGER_ENABLE else set()
    expected |= {h.SetOnline(bool(second & h.SET_ONLINE))} if changed & h.SET_ONLINE else set()
    expected |= {h.Acknowledge()} if rising & h.RESULTS_ACK else set()
    assert set(requests) == expected
    assert len(requests) == len(expected)
    if rising & h.TRIGGER:
        assert requests[-1] == h.TriggerPart(PART)
    if rising & h.TRIGGER and changed & h.TRIGGER_ENABLE:
        assert requests.index(h.EnableTriggers(bool(second & h.TRIGGER_ENABLE))) < len(requests) - 1


def test_trigger_ack_follows_a_trigger_that_was_taken_and_falls_with_it():
    handshake = Handshake()
    written(handshake, h.TRIGGER)
    assert not handshake.bits(READY).trigger_ack
    handshake.trigger_answered(True)
    assert handshake.bits(READY).trigger_ack
    written(handshake, 0)
    assert not handshake.bits(READY).trigger_ack


def test_a_refused_trigger_gets_no_ack():
    handshake = Handshake()
    written(handshake, h.TRIGGER)
    handshake.trigger_answered(False)
    assert not handshake.bits(READY).trigger_ack


def test_a_pulse_that_ended_before_the_next_poll_leaves_no_ack_behind():
    handshake = Handshake()
    written(handshake, h.TRIGGER)
    handshake.trigger_answered(True)
    written(handshake, 0)
    assert handshake.bits(READY) == h.Bits()


def test_a_result_that_was_read_is_acknowledged_by_the_edge():
    handshake = Handshake()
    assert handshake.bits(WAITING).results_ready
    handshake.read(WAITING)
    assert written(handshake, h.RESULTS_ACK, WAITING) == [h.Acknowledge()]


def test_an_ack_of_a_result_that_nobody_read_is_none_and_the_result_shows_when_it_falls():
    handshake = Handshake()
    assert written(handshake, h.RESULTS_ACK, WAITING) == []
    handshake.read(WAITING)
    assert not handshake.bits(WAITING).results_ready
    assert written(handshake, 0, WAITING) == []
    assert handshake.bits(WAITING).results_ready


def test_an_ack_that_stays_at_1_hides_the_next_result_until_it_falls():
    handshake = Handshake()
    handshake.read(WAITING)
    written(handshake, h.RESULTS_ACK, WAITING)
    following = Snapshot("left", State.RUNNING, results_ready=True, outcome=outcome_of(PART, Verdict.NG, 6))
    handshake.read(following)
    assert not handshake.bits(following).results_ready
    assert written(handshake, h.RESULTS_ACK | h.TRIGGER_ENABLE, following) == [h.EnableTriggers(True)]
    written(handshake, h.TRIGGER_ENABLE, following)
    assert handshake.bits(following).results_ready
    handshake.read(following)
    assert written(handshake, h.TRIGGER_ENABLE | h.RESULTS_ACK, following) == [h.Acknowledge()]


def test_an_ack_between_two_results_acknowledges_neither():
    handshake = Handshake()
    handshake.read(WAITING)
    following = Snapshot("left", State.RUNNING, results_ready=True, outcome=outcome_of(PART, Verdict.NG, 6))
    assert written(handshake, h.RESULTS_ACK, following) == []


def test_disabling_triggers_resets_the_handshake():
    handshake = Handshake()
    written(handshake, h.TRIGGER_ENABLE | h.TRIGGER | h.JOB_CHANGE)
    handshake.trigger_answered(True)
    handshake.job_answered(8, ErrorCode.NONE, READY)
    handshake.recipe_changed(8)
    assert handshake.bits(READY) == h.Bits(trigger_ack=True, job_ack=True)
    assert written(handshake, h.TRIGGER | h.JOB_CHANGE) == [h.EnableTriggers(False)]
    assert handshake.bits(READY) == h.Bits()


LOADING = Snapshot("left", State.LOADING)


def loading() -> Handshake:
    handshake = Handshake()
    written(handshake, h.JOB_CHANGE)
    handshake.job_answered(8, ErrorCode.NONE, LOADING)
    return handshake


def test_a_change_of_job_is_acknowledged_when_the_job_judges_and_not_before():
    handshake = loading()
    assert handshake.bits(READY) == h.Bits()
    handshake.recipe_changed(h.NO_JOB)
    handshake.recipe_changed(7)
    assert handshake.bits(READY) == h.Bits()
    handshake.recipe_changed(8)
    assert handshake.bits(READY).job_ack
    written(handshake, 0)
    assert handshake.bits(READY) == h.Bits()


def test_a_job_that_is_refused_fails_at_once_with_its_code_until_the_request_falls():
    handshake = Handshake()
    written(handshake, h.JOB_CHANGE)
    handshake.job_answered(8, ErrorCode.JOB_UNKNOWN, READY)
    assert handshake.bits(READY).job_failed is ErrorCode.JOB_UNKNOWN
    written(handshake, 0)
    assert handshake.bits(READY).job_failed is ErrorCode.NONE


@pytest.mark.parametrize("state", [State.NO_JOB, State.FAULT, State.OFFLINE, State.HALTED])
def test_a_job_fails_where_the_station_ends_without_one(state):
    handshake = loading()
    handshake.state_changed(State.LOADING, Snapshot("left", state))
    assert handshake.bits(Snapshot("left", state)).job_failed is ErrorCode.LOADING_FAILED


def test_a_job_fails_with_the_code_that_the_station_gives():
    failed = Snapshot("left", State.NO_JOB, job_failed=ErrorCode.DIGEST_DIFFERS)
    handshake = loading()
    assert handshake.bits(failed).job_failed is ErrorCode.DIGEST_DIFFERS
    handshake.state_changed(State.LOADING, failed)
    assert handshake.bits(failed).job_failed is ErrorCode.DIGEST_DIFFERS


def test_going_online_without_a_job_just_before_is_no_failure():
    handshake = loading()
    handshake.state_changed(State.OFFLINE, Snapshot("left", State.NO_JOB))
    handshake.state_changed(State.NO_JOB, LOADING)
    assert handshake.bits(LOADING) == h.Bits()


def test_job_0_is_acknowledged_when_nothing_judges_any_more():
    handshake = Handshake()
    handshake.write(h.JOB_CHANGE, h.NO_JOB, PART, READY)
    handshake.job_answered(h.NO_JOB, ErrorCode.NONE, READY)
    assert handshake.bits(READY) == h.Bits()
    handshake.state_changed(State.READY, Snapshot("left", State.NO_JOB))
    assert handshake.bits(Snapshot("left", State.NO_JOB)).job_ack


def test_a_failure_of_before_is_not_shown_while_the_next_job_loads():
    failed = Snapshot("left", State.NO_JOB, job_failed=ErrorCode.DIGEST_DIFFERS)
    handshake = Handshake()
    assert handshake.bits(failed).job_failed is ErrorCode.DIGEST_DIFFERS
    written(handshake, h.JOB_CHANGE, failed)
    handshake.job_answered(8, ErrorCode.NONE, failed)
    assert handshake.bits(failed).job_failed is ErrorCode.NONE


@pytest.mark.parametrize(
    ("now", "bits"),
    [
        (Snapshot("left", State.READY, recipe=loaded(8)), h.Bits(job_ack=True)),
        (Snapshot("left", State.LOADING, recipe=loaded(8)), h.Bits()),
        (Snapshot("left", State.NO_JOB), h.Bits(job_failed=ErrorCode.LOADING_FAILED)),
    ],
    ids=["judges", "loads", "none"],
)
def test_where_events_were_missed_the_snapshot_tells_how_a_change_of_job_ended(now, bits):
    handshake = loading()
    handshake.caught_up(now)
    assert handshake.bits(now) == bits


def test_a_heartbeat_is_silent_after_the_limit_and_heard_again_at_a_toggle():
    watch = HeartbeatWatch(3, now=10)
    assert not watch.silent(13)
    assert watch.silent(13.1)
    watch.toggled(14)
    assert not watch.silent(17)
    assert watch.silent(17.1)


def test_without_a_limit_no_heartbeat_is_watched():
    assert not HeartbeatWatch(0, now=0).silent(1e9)


class AnyPlc(RuleBasedStateMachine):
    """A PLC that writes whatever it likes, beside a station that takes parts and gives results as it should."""

    def __init__(self) -> None:
        super().__init__()
        self.handshake = Handshake()
        self.busy: Part | None = None
        self.outcome = None
        self.waits = False
        self.taken = 0
        self.given = 0
        self.acknowledged: list[int] = []
        self.seen: list[int] = []
        self.enabled = False

    def snapshot(self) -> Snapshot:
        ready = self.enabled and self.busy is None and not self.waits
        return Snapshot("left", State.READY, trigger_ready=ready, results_ready=self.waits, outcome=self.outcome)

    @rule(coils=st.integers(0, ALL_COILS))
    def write(self, coils):
        requests = self.handshake.write(coils, 8, Part(self.taken), self.snapshot())
        for request in requests:
            if isinstance(request, h.EnableTriggers):
                self.enabled = request.enabled
                self.waits = self.waits and request.enabled
            if isinstance(request, h.Acknowledge):
                assert self.outcome.result_id in self.seen, "a result that nobody read is never acknowledged"
                self.acknowledged.append(self.outcome.result_id)
                self.waits = False
            if isinstance(request, h.TriggerPart):
                taken = self.snapshot().trigger_ready
                self.handshake.trigger_answered(taken)
                if taken:
                    self.taken, self.busy = self.taken + 1, request.part

    @rule()
    def read(self):
        if self.handshake.bits(self.snapshot()).results_ready:
            self.seen.append(self.outcome.result_id)
        self.handshake.read(self.snapshot())

    @precondition(lambda self: self.busy is not None)
    @rule()
    def publish(self):
        self.given += 1
        self.outcome, self.busy, self.waits = outcome_of(self.busy, result_id=self.given), None, True

    @invariant()
    def bits_are_what_the_plc_may_see(self):
        bits = self.handshake.bits(self.snapshot())
        assert not bits.trigger_ack or self.handshake.coils & h.TRIGGER
        assert not bits.results_ready or (self.waits and not self.handshake.coils & h.RESULTS_ACK)
        assert len(set(self.acknowledged)) == len(self.acknowledged), "no result is acknowledged twice"


AnyPlc.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyPlc = AnyPlc.TestCase
