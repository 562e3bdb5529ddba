"""The view that is drawn on the page is the one that is looked at: the scripts' geometry beside the detector's."""

from __future__ import annotations

from functools import partial

from edgekd.data.view_geometry import geometry_of
from edgekd.preprocessing import Preprocessing
from edgekd.view import MOST_TILES, SMALLEST_CROP, View
from edgekd.workflows.views import OVERLAP

from .scripts import computed as computed_by
from .scripts import needs_node

FRAME = {"width": 640, "height": 480}

pytestmark = needs_node
computed = partial(computed_by, "parts/teach/view_geometry.js")


CASES = [
    (crop, tiles)
    for crop in ([0, 0, 640, 480], [13, 7, 401, 333], [100, 40, 50, 300])
    for tiles in ([1, 1], [2, 3], [5, 1], [8, 8])
]


def test_tiles_are_drawn_where_the_detector_looks():
    drawn = computed(
        "cases.map(([crop, tiles]) => script.tilesOf(crop, tiles, tiles[0] * tiles[1] > 1 ? overlap : 0))",
        cases=CASES,
        overlap=OVERLAP,
    )
    for (crop, tiles), found in zip(CASES, drawn, strict=True):
        x, y, width, height = crop
        rows, columns = tiles
        overlap = OVERLAP if rows * columns > 1 else 0.0
        view = View(frame=(480, 640), crop=(x, y, width, height), tiles=(rows, columns), overlap=overlap)
        looked_at = geometry_of(Preprocessing(32, 32, view=view), 480, 640).tiles
        expected = [[tile.left, tile.top, tile.width, tile.height] for tile in looked_at]
        off = [abs(a - b) for one, other in zip(found, expected, strict=True) for a, b in zip(one, other, strict=True)]
        assert max(off) <= 1, (crop, tiles)  # Halves are rounded otherwise.


def test_the_limits_are_the_detectors():
    told = computed("[script.SMALLEST_CROP, script.MOST_TILES, script.OVERLAP]")
    assert told == [SMALLEST_CROP, MOST_TILES, OVERLAP]


def test_a_crop_stays_in_the_frame_and_is_never_too_small():
    moved, shrunk, grown, whole = computed(
        """[
            script.moved([10, 10, 100, 100], -500, 900, frame),
            script.resized([10, 10, 100, 100], {x: 1, y: 1}, -500, -500, frame),
            script.resized([10, 10, 100, 100], {x: -1, y: 1}, -500, 900, frame),
            script.fitted([-5, -5, 9000, 9000], frame),
        ]""",
        frame=FRAME,
    )
    assert moved == [0, 380, 100, 100]
    assert shrunk == [10, 10, SMALLEST_CROP, SMALLEST_CROP]
    assert grown == [0, 10, 110, 470]
    assert whole is None


def test_a_rectangle_that_was_drawn_is_known_as_one():
    rectangle, triangle, turned = computed(
        """[
            script.rectangleOf(script.polygonOf(script.between([50.4, 60], [20, 10]))),
            script.rectangleOf([[0, 0], [10, 0], [5, 5]]),
            script.rectangleOf([[5, 0], [10, 5], [5, 10], [0, 5]]),
        ]"""
    )
    assert rectangle == [20, 10, 30, 50]
    assert triangle is None
    assert turned is None


def test_a_view_that_was_saved_is_the_one_that_was_drawn():
    same, other = computed(
        """[
            script.sameView({crop: null, ignore: [], tiles: null}, {crop: null, ignore: [], tiles: [1, 1]}),
            script.sameView({crop: [0, 0, 20, 20]}, {crop: [0, 0, 20, 21]}),
        ]"""
    )
    assert same
    assert not other
