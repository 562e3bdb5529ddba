"""How frames become what a network reads: from recipes and manifests."""

from __future__ import annotations

import pytest

from edgekd.errors import ArtifactError
from edgekd.preprocessing import Preprocessing, preprocessing_of, square
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


def test_a_manifest_without_the_shape_of_its_frames_is_refused():
    with pytest.raises(ArtifactError, match="lacks the shape"):
        preprocessing_of({"inputs": {}})


def test_a_recipe_prepares_images_by_its_size_and_its_rule():
    assert TrainingRecipe("hkt", "good", {}, 10, size=128, resize=AREA).preprocessing == square(128, AREA)
