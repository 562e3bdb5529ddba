"""Which sizes and views are tried for images of a shape."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekd.data.synthetic_defects import varied_defects
from edgekd.models.registry import SYSTEMS
from edgekd.view import LETTERBOX, STRETCH, View
from edgekd.workflows.candidate_views import SQUARES, Shape, preprocessing_for, shape_of, views_for
from edgekd.workflows.candidates import Candidate, find_candidates


def images(folder, *sizes):
    folder.mkdir()
    paths = [folder / f"{number:02}.png" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))
    return paths


def test_the_shape_of_images_is_their_median_and_whether_it_varies(tmp_path):
    same = shape_of(images(tmp_path / "same", (100, 250), (102, 250), (200, 500)))
    assert (same.ratio, same.varies, same.shorter_side) == (pytest.approx(0.4), False, 102)
    assert shape_of(images(tmp_path / "other", (100, 250), (100, 200), (100, 250))).varies


@pytest.mark.parametrize(
    ("shape", "squares", "expected"),
    [
        (Shape(1.0, False, 300), False, list(SQUARES)),
        (Shape(0.9, False, 300), False, list(SQUARES)),
        (Shape(0.4, False, 300), False, [((64, 192), ""), ((192, 448), "")]),
        (Shape(2.5, False, 300), False, [((192, 64), ""), ((448, 192), "")]),
        (Shape(0.4, False, 300), True, list(SQUARES)),
        (
            Shape(0.6, True, 300),
            False,
            [((128, 128), ""), ((128, 128), "stretch"), ((256, 256), ""), ((256, 256), "stretch")],
        ),
        (Shape(1.0, False, 900), False, [*SQUARES, ((256, 256), "2x2")]),
        (Shape(0.4, False, 900), False, [((64, 192), ""), ((192, 448), ""), ((192, 448), "2x2")]),
    ],
)
def test_what_is_tried_follows_from_the_shape(shape, squares, expected):
    assert views_for(shape, squares) == expected


def test_every_system_takes_the_rectangles_that_are_tried():
    views = views_for(Shape(0.4, False, 900), squares=False)
    candidates = list(find_candidates("pdn_small", views))
    assert [each.system for each in candidates] == [*SYSTEMS] * 3
    assert candidates[-1].name == f"{[*SYSTEMS][-1]}_192x448_2x2"


def test_a_candidate_is_prepared_as_it_is_trained_and_costs_what_its_tiles_read():
    assert preprocessing_for((96, 192), "").view == View(fit=LETTERBOX)
    assert preprocessing_for((96, 96), "stretch").view == View(fit=STRETCH)
    assert preprocessing_for((96, 96), "2x3").view == View(fit=LETTERBOX, tiles=(2, 3), overlap=0.1)
    assert Candidate("hkt", (96, 96), (), "2x3").pixels == 6 * 96 * 96


def test_defects_are_painted_into_images_of_several_sizes():
    rng = np.random.default_rng(0)
    good = [rng.integers(80, 120, (*size, 3), np.uint8) for size in ((60, 90), (90, 60), (64, 64))]
    defective, masks = varied_defects(good, 14, 3)
    assert {each.shape for each in defective} == {each.shape for each in good}
    for image, mask in zip(defective, masks, strict=True):
        origin = min(
            (each for each in good if each.shape == image.shape), key=lambda each: np.count_nonzero(each != image)
        )
        assert mask.any()
        assert not (image != origin)[mask == 0].any()
