"""A minute of the soak; `make soak` takes as long as one likes."""

from __future__ import annotations

import pytest

from tests.faults.soak import soak


@pytest.mark.slow
def test_every_frame_is_accounted_for_while_faults_are_injected():
    figures = soak(60, seed=0, stream_seconds=10)
    assert figures["failures"] == []
    assert figures["frames"] > 500
    assert {"OK", "NG", "ERROR"} == set(figures["verdicts"])
