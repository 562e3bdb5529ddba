"""Words of a command line that look like numbers and are none, or are more than anything can hold."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
import typer

from edgekd.cli.types import between, not_negative, positive
from edgekd.data.view_geometry import pixels_looked_at
from edgekd.errors import EdgekdError
from edgekd.preprocessing import parse_size
from edgekd.view import FARTHEST_POINT, View
from edgekd.workflows.train import TrainOptions
from edgekd.workflows.views import parse_crop, parse_tiles, view_for

ENDLESS = "9" * 5000  # More digits than Python turns into a number.
NO_NUMBERS = ("\u00b2", "\u2167", "3\x1d4", "1_0", ENDLESS, "")


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_refused_by_every_option_that_takes_one(text):
    for parse in (positive, not_negative, between(0, 1)):
        with pytest.raises(typer.BadParameter, match="must be"):
            parse(text)
    for parse, whole in ((parse_size, text), (parse_tiles, f"{text}x2"), (parse_crop, f"{text},0,20,20")):
        with pytest.raises(EdgekdError, match="must be") as failure:
            parse(whole)
        assert len(str(failure.value)) < 200


def test_points_that_are_longer_than_a_path_are_refused_as_points(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    options = TrainOptions("hkt", data=tmp_path, run="run", ignore=["1,1 " * 5000 + "x"])
    with pytest.raises(EdgekdError, match="a polygon must be at least 3 points") as failure:
        view_for(options, tmp_path, "timed")
    assert len(str(failure.value)) < 200


@pytest.mark.parametrize("far", [FARTHEST_POINT + 1, 2**31, 10**400])
def test_a_polygon_cannot_keep_the_station_busy_by_its_size(far):
    with pytest.raises(EdgekdError, match="must lie within"):
        View(frame=(40, 40), ignore=(((-far, 0), (far, 0), (far, far)),))
    far = FARTHEST_POINT
    started = time.process_time()
    looked_at = pixels_looked_at(View(frame=(40, 40), ignore=(((-far, -far), (far, -far), (far, far), (-far, far)),)))
    assert not looked_at.any()
    assert time.process_time() - started < 1
