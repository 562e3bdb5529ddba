"""The options of a view: what they mean, what is refused, and what a run that exists says to them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekd.artifact import write_json
from edgekd.data.view_geometry import pixels_looked_at
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.recipe import PAPER, TIMED, TrainingRecipe, read_recipe, write_recipe
from edgekd.run_folder import RECIPE_FILE
from edgekd.view import View, read_view, view_entry
from edgekd.workflows.train import TrainOptions, require_same_recipe
from edgekd.workflows.views import parse_crop, parse_tiles, view_for


@pytest.fixture
def data(tmp_path):
    """Images of 120 x 80 pixels."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 256, (80, 120, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.GaussianBlur(image, (0, 0), 4))
    return folder


def view(data, preset=TIMED, **options):
    return view_for(TrainOptions("hkt", data=data, run="run", **options), data, preset)


def test_images_are_letterboxed_unless_the_paper_or_the_user_stretches_them(data):
    assert view(data) == View(fit="letterbox")
    assert view(data, PAPER) == View(fit="stretch")
    assert view(data, fit="stretch") == View(fit="stretch")
    assert view(data, PAPER, fit="letterbox") == View(fit="letterbox")


def test_tiles_overlap_by_a_tenth_unless_another_share_is_given(data):
    assert (view(data, tiles="2x3").tiles, view(data, tiles="2x3").overlap) == ((2, 3), 0.1)
    assert view(data, tiles=(2, 3), overlap=0).overlap == 0


def test_a_crop_is_for_frames_of_the_size_of_the_images(data):
    found = view(data, crop="10,20,60,40")
    assert (found.frame, found.crop) == ((80, 120), (10, 20, 60, 40))
    assert view(data, crop=(10, 20, 60, 40)) == found


def test_polygons_are_points_or_masks(data, tmp_path):
    mask = np.zeros((80, 120), np.uint8)
    mask[10:30, 50:100] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    found = view(data, ignore=["0,0 20,0 0,20", str(tmp_path / "mask.png")], look_at=[[(0, 0), (119, 0), (0, 79)]])
    assert found.ignore[0] == ((0, 0), (20, 0), (0, 20))
    assert found.look_at == (((0, 0), (119, 0), (0, 79)),)
    ignored = pixels_looked_at(View((80, 120), ignore=found.ignore[1:])) == 0
    assert (ignored == (mask > 0)).all()


def test_an_alignment_allows_a_tenth_of_the_shorter_side_and_five_degrees(data):
    align = view(data, align=data / "0.png").align
    assert (align.max_shift, align.max_rotation) == (8, 5)
    align = view(data, align=data / "0.png", max_shift=3.5, max_rotation=0).align
    assert (align.max_shift, align.max_rotation) == (3.5, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 0.2}, "--overlap needs --tiles"),
        ({"overlap": 0.2, "tiles": "1x1"}, "--overlap is for several tiles"),
        ({"max_shift": 4}, "--max-shift needs --align"),
        ({"tiles": "2"}, "--tiles must be ROWSxCOLUMNS"),
        ({"tiles": "0x2"}, "rows and columns of at least 1"),
        ({"tiles": "2x2", "overlap": 0.7}, "from 0 to 0.5, got 0.7"),
        ({"crop": "1,2,3"}, "--crop must be X,Y,WIDTH,HEIGHT"),
        ({"crop": "100,0,60,40"}, "100,0,60,40 .* reaches beyond the frame of 120 x 80 pixels"),
        ({"crop": "0,0,8,40"}, "at least 16 pixels a side, got 8 x 40"),
        ({"ignore": ["0,0 5,5"]}, "at least 3 points"),
        ({"ignore": ["0,0 119,0 119,79 0,79"]}, "ignores the whole frame"),
    ],
)
def test_what_does_not_fit_is_refused(data, options, message):
    with pytest.raises(EdgekdError, match=message):
        view(data, **options)


def test_a_mask_or_a_reference_of_another_size_is_refused(data, tmp_path):
    cv2.imwrite(str(tmp_path / "other.png"), np.full((40, 60, 3), 255, np.uint8))
    for option in ({"align": tmp_path / "other.png"}, {"ignore": [tmp_path / "other.png"]}):
        with pytest.raises(EdgekdError, match="is 60 x 40 pixels, and the images are 120 x 80"):
            view(data, **option)


def test_tiles_and_crops_in_other_words_are_refused():
    for words in ("2 x", "axb", "2x2x2"):
        with pytest.raises(EdgekdError, match="ROWSxCOLUMNS"):
            parse_tiles(words)
    with pytest.raises(EdgekdError, match="X,Y,WIDTH,HEIGHT"):
        parse_crop("a,b,c,d")


def test_tiles_and_crops_in_whole_numbers_of_any_kind_are_taken_and_others_are_refused():
    assert [type(each) for each in parse_crop(np.array([1, 2, 30, 40]))] == [int] * 4
    assert parse_crop((1.0, 2, 30, 40)) == (1, 2, 30, 40)
    assert parse_tiles(np.array([2, 3])) == (2, 3)
    for crop in ((1.5, 0, 20, 20), (float("nan"), 0, 20, 20), ("a", 0, 20, 20), 5):
        with pytest.raises(EdgekdError, match="--crop must be X,Y,WIDTH,HEIGHT"):
            parse_crop(crop)
    with pytest.raises(EdgekdError, match="ROWSxCOLUMNS"):
        parse_tiles((1.5, 2))


def test_a_view_comes_back_from_json(data, tmp_path):
    found = view(data, crop="10,20,60,40", ignore=["0,0 20,0 0,20"], tiles="2x2", align=data / "1.png")
    write_recipe(tmp_path, TrainingRecipe("hkt", str(data), {}, 10, view=found))
    recipe = read_recipe(tmp_path)
    assert recipe.view == found
    assert recipe.preprocessing.view == found
    assert recipe.preprocessing.tiles == 4


def test_a_run_of_before_there_were_views_stretches_whole_images(tmp_path):
    write_json(tmp_path / RECIPE_FILE, {"system": "hkt", "data": "d", "teachers": {}, "iterations": 3})
    assert read_recipe(tmp_path).view == View(fit="stretch")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"zoom": 2}, "the view in x.json: zoom is not known to this edgekd; update edgekd"),
        ({"tiles": [0, 1]}, r"the view in x.json: tiles\[0\] must be at least 1, got 0"),
        ({"crop": [1, 2, 3, 4]}, "the view in x.json: a crop, a polygon or an alignment needs the size of"),
        ({"align": {"reference": ""}}, "the view in x.json: align.reference must be a PNG of at most 256"),
    ],
)
def test_a_damaged_view_is_refused(entry, message):
    with pytest.raises(ArtifactError, match=message):
        read_view(view_entry(View()) | entry, "x.json")


def test_a_run_that_exists_is_not_resumed_with_another_view(data, tmp_path):
    write_recipe(tmp_path, TrainingRecipe("hkt", str(data), {}, 10, view=View(tiles=(2, 2), overlap=0.1)))
    require_same_recipe(TrainOptions("hkt", run=tmp_path, tiles="2x2", overlap=0.1))
    (tmp_path / "none").mkdir()
    write_recipe(tmp_path / "none", TrainingRecipe("hkt", str(data), {}, 10, view=View(tiles=(2, 2))))
    require_same_recipe(TrainOptions("hkt", run=tmp_path / "none", tiles="2x2", overlap=0))
    with pytest.raises(EdgekdError, match=r"was trained with --tiles 2x2, not 3x3"):
        require_same_recipe(TrainOptions("hkt", run=tmp_path, tiles="3x3"))
    with pytest.raises(EdgekdError, match=r"was trained with --ignore none, not 0,0 20,0 0,20"):
        require_same_recipe(TrainOptions("hkt", run=tmp_path, ignore=["0,0 20,0 0,20"]))
    with pytest.raises(EdgekdError, match=r"was trained with --align another reference, or none"):
        require_same_recipe(TrainOptions("hkt", run=tmp_path, align=data / "0.png"))
