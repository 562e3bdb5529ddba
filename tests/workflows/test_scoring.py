"""Which images and frames are scored."""

from pathlib import Path

import numpy as np
import pytest

from edgekd.preprocessing import Preprocessing
from edgekd.view import View
from edgekd.workflows.scoring import evenly_spread, looked_at

LEFT_HALF = ((0, 0), (60, 0), (60, 63), (0, 63))


@pytest.mark.parametrize(("count", "most"), [(1, 5), (5, 5), (100, 7)])
def test_files_are_taken_evenly_from_the_first_to_the_last(count, most):
    paths = [Path(f"{number:03}.png") for number in range(count)]
    few = evenly_spread(paths, most)
    assert len(few) == min(count, most)
    assert (few[0], few[-1]) == (paths[0], paths[-1])
    gaps = np.diff([int(path.stem) for path in few])
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def test_frames_of_tiles_that_are_not_looked_at_are_left_out():
    frames = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    tiles = (1, 2)
    everywhere = Preprocessing(64, 64, view=View(tiles=tiles))
    left = Preprocessing(64, 64, view=View((64, 128), look_at=(LEFT_HALF,), tiles=tiles))
    assert np.array_equal(looked_at(frames, everywhere), frames)
    assert looked_at(frames, left)[:, 0, 0, 0].tolist() == [0, 2, 4]
