"""The images that candidates are judged on."""

import cv2
import numpy as np
import pytest

from edgekd.data.good_images import read_frames, split_good_images
from edgekd.data.layouts import read_category
from edgekd.errors import EdgekdError, ImageError
from edgekd.workflows.judge import judge_detector, make_judge

from ..conftest import copy_images, monocrystalline


def test_without_defects_they_are_painted_into_the_good_images_that_no_training_sees(forty_good, tmp_path):
    judge = make_judge(forty_good, None, 3, tmp_path / "judge")
    assert (len(judge.good), len(judge.defective), judge.defects) == (10, 140, "synthetic")
    assert judge.labels == [False] * 10 + [True] * 140
    _, held_out = split_good_images(sorted(forty_good.iterdir()), 3)
    assert np.array_equal(np.stack([cv2.imread(str(path)) for path in judge.good]), read_frames(held_out, 256))
    assert str(judge) == "10 held-out good images against 140 with synthetic defects"
    # They are a category like any other, with masks of what differs.
    category = read_category(tmp_path / "judge")
    assert category.has_masks
    image = cv2.imread(str(judge.defective[0]))
    origins = [np.count_nonzero(cv2.imread(str(path)) != image) for path in judge.good]
    frame = cv2.imread(str(judge.good[int(np.argmin(origins))]))
    mask = cv2.imread(str(tmp_path / "judge" / "ground_truth" / "synthetic" / "000_mask.png"), cv2.IMREAD_GRAYSCALE)
    assert set(np.unique(mask)) == {0, 255}
    assert not (frame != image)[mask == 0].any()


def test_images_of_twelve_bits_are_judged_as_the_runs_read_them(elpv_images, tmp_path):
    (tmp_path / "good").mkdir()
    for number, path in enumerate(elpv_images[:40]):
        image = cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (64, 64)).astype(np.uint16) << 4
        cv2.imwrite(str(tmp_path / "good" / f"{number:02}.png"), image)
    judge = make_judge(tmp_path / "good", None, 0, tmp_path / "judge", bit_depth=12)
    darkest = cv2.imread(str(judge.good[0]), cv2.IMREAD_GRAYSCALE)
    assert darkest.mean() > 50  # As the same cells of 8 bits have it: read as 16 bits it would be below 8.
    with pytest.raises(ImageError, match="--bit-depth"):
        make_judge(tmp_path / "good", None, 0, tmp_path / "unstated")


def test_the_same_seed_makes_the_same_images(forty_good, tmp_path):
    first, same, other = (
        make_judge(forty_good, None, seed, tmp_path / name) for seed, name in ((3, "a"), (3, "b"), (4, "c"))
    )
    assert [path.read_bytes() for path in first.images] == [path.read_bytes() for path in same.images]
    assert first.defective[0].read_bytes() != other.defective[0].read_bytes()


def test_real_defects_are_all_taken_as_they_are(forty_good, tmp_path):
    paths = copy_images(monocrystalline("1.0")[:7], tmp_path / "ng", 64)
    judge = make_judge(forty_good, tmp_path / "ng", 0, tmp_path / "judge")
    assert (judge.defective, judge.defects) == (paths, "real")
    assert {path.parent for path in judge.good} == {forty_good}
    assert not (tmp_path / "judge").exists()


def test_a_folder_of_defects_that_holds_good_images_is_refused(forty_good, category, tmp_path):
    with pytest.raises(EdgekdError, match="test holds good images too, in good: name a folder of defective ones"):
        make_judge(forty_good, category / "test", 0, tmp_path / "judge")


def test_too_few_good_images_are_refused(good_folder, tmp_path):
    with pytest.raises(EdgekdError, match=r"good holds 24 good images, too few .*: give at least 40, better hundreds"):
        make_judge(good_folder, None, 0, tmp_path / "judge")


def test_a_detector_is_judged_by_its_artifacts_scores(exported, forty_good, tmp_path):
    judge = make_judge(forty_good, None, 0, tmp_path / "judge")
    steps = []
    alike = judge._replace(good=judge.good, defective=judge.good)
    assert judge_detector(exported, alike, lambda *step: steps.append(step)) == 0.5
    assert steps[-1] == ("scoring 20 images", 20, 20)
