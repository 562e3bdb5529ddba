"""The view that is drawn on the page is the one that is looked at: the scripts' geometry beside the detector's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import edgekd.station.page
from edgekd.data.view_geometry import geometry_of
from edgekd.preprocessing import Preprocessing
from edgekd.view import MOST_TILES, SMALLEST_CROP, View
from edgekd.workflows.views import OVERLAP

GEOMETRY = Path(edgekd.station.page.__file__).parent / "static" / "parts" / "teach" / "view_geometry.js"
FRAME = {"width": 640, "height": 480}

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here to run scripts with")


def computed(expression: str, **values: Any) -> Any:
    """What an expression over the script's functions is."""
    script = f"""
        import * as geometry from {json.dumps(GEOMETRY.as_uri())};
        const values = {json.dumps(values)};
        const answer = (({{{", ".join(values)}}}) => {expression})(values);
        process.stdout.write(JSON.stringify(answer));
    """
    told = subprocess.run(
        ["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(told.stdout)


CASES = [
    (crop, tiles)
    for crop in ([0, 0, 640, 480], [13, 7, 401, 333], [100, 40, 50, 300])
    for tiles in ([1, 1], [2, 3], [5, 1], [8, 8])
]


def test_tiles_are_drawn_where_the_detector_looks():
    drawn = computed(
        "cases.map(([crop, tiles]) => geometry.tilesOf(crop, tiles, tiles[0] * tiles[1] > 1 ? overlap : 0))",
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
    told = computed("[geometry.SMALLEST_CROP, geometry.MOST_TILES, geometry.OVERLAP]")
    assert told == [SMALLEST_CROP, MOST_TILES, OVERLAP]


def test_a_crop_stays_in_the_frame_and_is_never_too_small():
    moved, shrunk, grown, whole = computed(
        """[
            geometry.moved([10, 10, 100, 100], -500, 900, frame),
            geometry.resized([10, 10, 100, 100], {x: 1, y: 1}, -500, -500, frame),
            geometry.resized([10, 10, 100, 100], {x: -1, y: 1}, -500, 900, frame),
            geometry.fitted([-5, -5, 9000, 9000], frame),
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
            geometry.rectangleOf(geometry.polygonOf(geometry.between([50.4, 60], [20, 10]))),
            geometry.rectangleOf([[0, 0], [10, 0], [5, 5]]),
            geometry.rectangleOf([[5, 0], [10, 5], [5, 10], [0, 5]]),
        ]"""
    )
    assert rectangle == [20, 10, 30, 50]
    assert triangle is None
    assert turned is None


def test_a_view_that_was_saved_is_the_one_that_was_drawn():
    same, other = computed(
        """[
            geometry.sameView({crop: null, ignore: [], tiles: null}, {crop: null, ignore: [], tiles: [1, 1]}),
            geometry.sameView({crop: [0, 0, 20, 20]}, {crop: [0, 0, 20, 21]}),
        ]"""
    )
    assert same
    assert not other
