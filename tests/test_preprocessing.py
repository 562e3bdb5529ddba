"""How frames become what a network reads: from recipes and manifests."""

from __future__ import annotations

import pytest

from edgekd.errors import ArtifactError, EdgekdError
from edgekd.preprocessing import Preprocessing, in_pixels, parse_size, preprocessing_of, size_text, square
from edgekd.recipe import TrainingRecipe
from edgekd.resize_rules import AREA, AREA_2


def manifest(**entries):
    return {"file": "x.onnx", "inputs": {"frames": {"shape": ["batch", 64, 96, 3]}}} | entries


def test_a_manifest_of_before_there_were_rules_keeps_the_first():
    assert preprocessing_of(manifest()) == Preprocessing(64, 96, AREA)
    assert preprocessing_of(manifest(resize={"rule": AREA_2})) == Preprocessing(64, 96, AREA_2)


def test_a_rule_that_this_version_lacks_is_refused():
    with pytest.raises(ArtifactError, match=r"x\.onnx needs images resized by the rule 'area-9'"):
        preprocessing_of(manifest(resize={"rule": "area-9"}))


def test_a_manifest_states_the_bit_depth_and_one_of_before_none():
    assert preprocessing_of(manifest(bit_depth=12)) == Preprocessing(64, 96, AREA, bit_depth=12)
    assert preprocessing_of(manifest(bit_depth=None)).bit_depth is preprocessing_of(manifest()).bit_depth is None


@pytest.mark.parametrize("bit_depth", [8, 17, 12.5, "12", True])
def test_a_bit_depth_that_is_none_is_refused(bit_depth):
    with pytest.raises(ArtifactError, match=r"x\.onnx states the bit depth .*: expected 9 to 16"):
        preprocessing_of(manifest(bit_depth=bit_depth))


def test_a_manifest_without_the_shape_of_its_frames_is_refused():
    with pytest.raises(ArtifactError, match="lacks the shape"):
        preprocessing_of({"inputs": {}})


def test_a_recipe_prepares_images_by_its_size_and_its_rule():
    assert TrainingRecipe("hkt", "good", {}, 10, size=128, resize=AREA).preprocessing == square(128, AREA)
    assert TrainingRecipe("hkt", "good", {}, 10, size=(64, 96)).preprocessing == Preprocessing(64, 96, AREA_2)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (128, (128, 128)),
        ("128", (128, 128)),
        ("128x320", (128, 320)),
        (" 320X128 ", (320, 128)),
        ((128, 320), (128, 320)),
        ([128, 320], (128, 320)),
    ],
)
def test_a_size_is_a_side_or_height_and_width(given, size):
    assert parse_size(given) == size
    assert parse_size(size_text(size)) == size


@pytest.mark.parametrize(
    "given", [0, "", "128x", "x128", "-8", "128x0", "1.5", "128 320", (128,), (1, 2, 3), (12.5, 8)]
)
def test_what_is_no_size_is_refused(given):
    with pytest.raises(EdgekdError, match="must be a side in pixels, such as 128, or HEIGHTxWIDTH, such as 128x320"):
        parse_size(given)


def test_sizes_are_written_as_options_take_them_and_in_words():
    assert (size_text((128, 128)), size_text((128, 320))) == ("128", "128x320")
    assert in_pixels((128, 128)) == "128 x 128 pixels"
    assert in_pixels((128, 320)) == "128 x 320 pixels (height x width)"
