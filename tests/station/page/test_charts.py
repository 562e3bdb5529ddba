"""What charts draw."""

from functools import partial

import pytest

from .scripts import computed as computed_by
from .scripts import needs_node

pytestmark = needs_node
computed = partial(computed_by, "lib/scales.js")


def test_a_line_is_interrupted_where_nothing_is_known_and_a_point_alone_is_seen():
    points = [[0, 1], [1, 2], [2, None], [3, 4], [4, None]]

    assert computed("script.path(points, (x) => 10 * x, (y) => y)", points=points) == (
        "M0.0 1.0L10.0 2.0M27.0 4.0L33.0 4.0"
    )
    assert computed("script.path([], (x) => x, (y) => y)") == ""


def test_an_area_lies_between_two_lines_and_one_alone_is_seen():
    two, one = [[0, 1, 2], [1, None, 5], [2, 3, 4]], [[5, 1, 2]]

    assert computed("script.area(points, (x) => x, (y) => y)", points=two) == "M0.0 2.0L2.0 4.0L2.0 3.0L0.0 1.0Z"
    assert computed("script.area(points, (x) => x, (y) => y)", points=one) == "M2.0 2.0L8.0 2.0L8.0 1.0L2.0 1.0Z"


def test_ticks_are_round_numbers():
    assert computed("script.ticks(0.13, 0.97, 4)") == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert computed("script.ticks(7, 7)") == [7]
