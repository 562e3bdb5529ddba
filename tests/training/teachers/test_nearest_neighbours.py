import numpy as np
import pytest
import torch
from torch import nn

from edgekd.artifact import read_json
from edgekd.training.teachers import nearest_neighbours
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.teachers.nearest_neighbours import Search, patch_features, remember, teacher_network

from ...run_command import main


class Colours(nn.Module):
    """Features of a patch of one pixel: its normalised colour."""

    def forward(self, images):
        return images


def random_frames(count: int, side: int = 24) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


def test_a_score_is_the_farthest_patchs_distance_to_its_nearest_good_one():
    good = np.zeros((1, 1, 2, 3), np.uint8)
    good[0, 0, 0], good[0, 0, 1] = (0, 0, 0), (200, 100, 50)
    other = good[0].copy()
    other[0, 1] = (200, 100, 250)  # Red, the last of BGR, is off by 200.
    memory = remember(Colours(), good, seed=0)
    same_score, other_score = (
        Search(2).score(memory.standardise(patch_features(Colours(), frame)), memory, 2) for frame in (good[0], other)
    )
    assert same_score == pytest.approx(0, abs=1e-3)
    # The two good patches differ by 50 in red; their standard deviation is 50 / sqrt(2).
    assert other_score == pytest.approx(200 / (50 / 2**0.5), rel=1e-4)


def test_a_search_that_leaves_patches_out_finds_the_score_of_all_of_them(monkeypatch):
    monkeypatch.setattr(nearest_neighbours, "FIRST_LOOK", 50)
    monkeypatch.setattr(nearest_neighbours, "MEMORY_BLOCK", 70)
    monkeypatch.setattr(nearest_neighbours, "LEADERS", 2)
    monkeypatch.setattr(nearest_neighbours, "QUERIES", 10)
    memory = remember(Colours(), random_frames(3), seed=0)
    for frame in random_frames(5):
        patches = memory.standardise(patch_features(Colours(), frame))
        search = Search(len(patches))
        for count in (40, 300, 500, 1728):
            distances = torch.cdist(patches, memory.patches[:count], compute_mode="donot_use_mm_for_euclid_dist")
            assert search.score(patches, memory, count) == pytest.approx(float(distances.amin(1).max()), abs=2e-3)
        assert (search.compared < 1728).any()


def test_the_memory_holds_no_more_patches_than_it_may_and_as_many_of_every_image():
    frames = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((7, 4, 4, 3), np.uint8)
    memory = remember(Colours(), frames, seed=0, most=16)
    assert memory.patches.shape == (14, 3)
    assert not memory.complete
    assert memory.patches[:7].equal(memory.patches[7:])  # One of each image, then another one.
    assert len(memory.patches[:7].unique(dim=0)) == 7
    assert remember(Colours(), frames, seed=0).complete


@pytest.mark.parametrize(("available", "patches"), [(4 * 20 * 12, 14), (10, 7), (0, 112)])
def test_a_small_machine_remembers_fewer_patches_and_one_whose_memory_is_unknown_all(monkeypatch, available, patches):
    monkeypatch.setattr(nearest_neighbours, "available_host_memory", lambda: available)
    assert len(remember(Colours(), random_frames(7, side=4), seed=0).patches) == patches


def test_the_seed_draws_the_patches():
    one, same, other = (remember(Colours(), random_frames(2), seed, most=100).patches for seed in (0, 0, 1))
    assert one.equal(same)
    assert not one.equal(other)


def test_a_backbone_and_a_pdn_have_the_same_grid():
    image = torch.zeros(1, 3, 64, 64)
    with torch.inference_mode():
        for name in ("efficientnet_lite0", "pdn_small"):
            assert teacher_network(load_teacher(name))(image).shape == (1, 384, 8, 8)


def test_the_command_checks_several_teachers_and_writes_its_figures(category, tiny_teacher, tmp_path, capsys):
    words = ["teachers", "check", "efficientnet_lite0", str(tiny_teacher), "--data", str(category), "--size", "64"]
    assert main([*words, "--json", str(tmp_path / "check.json")]) == 0
    content = read_json(tmp_path / "check.json")
    assert (content["train_good"], content["test"], content["size"]) == (8, 12, [64, 64])
    assert content["defects"] == "real"
    assert [figure["teacher"] for figure in content["teachers"]] == ["efficientnet_lite0", str(tiny_teacher)]
    for figure in content["teachers"]:
        assert 0 <= figure["image_auroc"] <= 1
        assert figure["patches"] == 8 * 64  # All of eight images of 8 x 8 patches.
        assert figure["stands_still"] is True
        assert figure["seconds"] > 0
    assert "nearest neighbours on cell, real defects" in capsys.readouterr().out


def test_a_folder_of_good_images_is_checked_with_synthetic_defects(good_folder, capsys):
    words = ["teachers", "check", "efficientnet_lite0", "--data", str(good_folder), "--size", "64"]
    assert main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "good, synthetic defects: 22 good images, 142 tested" in printed
    assert "image AUROC │ patches │ stands still │ seconds".replace("│", "┃") in printed
    assert "1408 │ yes" in printed  # All of 22 images of 8 x 8 patches.


def test_too_few_good_images_to_hold_some_out_are_refused(good_folder, capsys):
    for path in sorted(good_folder.iterdir())[9:]:
        path.unlink()
    assert main(["teachers", "check", "efficientnet_lite0", "--data", str(good_folder), "--size", "64"]) == 2
    assert "too few to hold some out: give at least ten" in " ".join(capsys.readouterr().err.split())


def test_a_misspelt_teacher_is_named_before_anything_is_measured(category, capsys):
    assert main(["teachers", "check", "pdn_small", "efficientnet_lte1", "--data", str(category)]) == 2
    assert "did you mean efficientnet_lite1" in capsys.readouterr().err
