"""Tests of telling fresh frames from buffered ones, by their times alone."""

from __future__ import annotations

from edgekd.station.cameras.freshness import Freshness

PERIOD = 0.04


def steady(
    freshness: Freshness, start: float, seconds: float, stamp_offset: float | None = None
) -> tuple[float, list[str]]:
    """Frames at their pace, a little irregular; the time after the last one, and what was said of each."""
    said, now = [], start
    for index in range(int(seconds / PERIOD)):
        now = start + index * PERIOD + (0.006 if index % 3 else 0)
        said.append(freshness.staleness(now, None if stamp_offset is None else start + index * PERIOD - stamp_offset))
    return now + PERIOD, said


def settled() -> tuple[Freshness, float]:
    freshness = Freshness()
    now, _ = steady(freshness, 100, 3)
    return freshness, now


def test_nothing_is_fresh_until_the_pace_is_known():
    _, said = steady(Freshness(), 100, 3)

    assert said[0] == "the stream has only begun"
    assert all(said[:24])
    assert not any(said[27:])


def test_what_was_buffered_while_the_stream_was_opened_does_not_set_the_pace():
    freshness = Freshness()
    for index in range(30):
        assert freshness.staleness(100 + index * 0.003)
    now, _ = steady(freshness, 100.1, 3)

    assert not freshness.staleness(now)


def test_a_burst_after_a_stall_is_stale_and_then_it_is_fresh_again():
    freshness, now = settled()
    now += 1.5
    burst = [freshness.staleness(now + index * 0.008) for index in range(36)]
    now, after = steady(freshness, now + 36 * 0.008 + PERIOD, 1)

    assert all(said == "it was buffered while the stream stalled" for said in burst)
    assert not any(after[3:])


def test_single_frames_that_a_decoder_gives_out_in_a_stall_are_stale():
    freshness, now = settled()

    assert freshness.staleness(now + 1.5)
    assert freshness.staleness(now + 3.0)


def test_frames_that_come_in_pairs_are_fresh():
    freshness, now = settled()

    assert not any(freshness.staleness(now + index * 2 * PERIOD + shift) for index in range(20) for shift in (0, 0.005))


def test_a_camera_that_changes_its_rate_is_fresh_again_within_seconds():
    freshness, now = settled()
    said = [freshness.staleness(now + index * 0.4) for index in range(30)]

    assert said[1]
    assert not said[-1]


def test_a_backlog_that_drains_slowly_is_told_by_its_stamps():
    freshness = Freshness()
    now, said = steady(freshness, 100, 3, stamp_offset=5000)
    assert not said[-1]

    # A second behind, at the stream's own pace, for good.
    now, said = steady(freshness, now + 1, 3, stamp_offset=5001)

    assert said[-1] == "it is 1.0 s late"
    assert freshness.lagging_since is not None


def test_clocks_that_drift_apart_do_not_make_frames_stale():
    freshness, said = Freshness(), []
    for index in range(int(300 / PERIOD)):
        said.append(freshness.staleness(100 + index * PERIOD, index * PERIOD * 0.9999))

    assert not any(said[50:])
