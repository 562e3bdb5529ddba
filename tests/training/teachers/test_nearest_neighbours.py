import numpy as np
import pytest
import torch
from torch import nn

from edgekd.artifact import read_json
from edgekd.training.teachers import nearest_neighbours
from edgekd.training.teachers.loading import load_teacher
from edgekd.training.teachers.nearest_neighbours import nearest_neighbour_scores, teacher_network

from ...run_command import main


class Colours(nn.Module):
    """Features of a patch of one pixel: its normalised colour."""

    def forward(self, images):
        return images


def test_a_score_is_the_farthest_patchs_distance_to_its_nearest_good_one():
    good = np.zeros((1, 1, 2, 3), np.uint8)
    good[0, 0, 0], good[0, 0, 1] = (0, 0, 0), (200, 100, 50)
    test = np.concatenate([good, good.copy()])
    test[1, 0, 1] = (200, 100, 250)  # Red, the last of BGR, is off by 200.
    same, other = nearest_neighbour_scores(Colours(), good, test)
    assert same == pytest.approx(0, abs=1e-3)
    # The two good patches differ by 50 in red; their standard deviation is 50 / sqrt(2).
    assert other == pytest.approx(200 / (50 / 2**0.5), rel=1e-4)


def test_the_memory_holds_no_more_patches_than_it_may_and_takes_some_of_every_image(monkeypatch):
    monkeypatch.setattr(nearest_neighbours, "MEMORY_PATCHES", 10)
    frames = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((7, 4, 4, 3), np.uint8)
    memory = nearest_neighbours._memory(Colours(), frames, seed=0)
    assert memory.shape == (10, 3)
    assert len(memory.unique(dim=0)) >= 5  # Two patches of each of seven images, less four by chance.


def test_the_seed_draws_the_patches():
    frames = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), np.uint8)
    scores = [list(nearest_neighbour_scores(Colours(), frames, frames[:1], seed)) for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]


def test_a_backbone_and_a_pdn_have_the_same_grid():
    image = torch.zeros(1, 3, 64, 64)
    with torch.inference_mode():
        for name in ("efficientnet_lite0", "pdn_small"):
            assert teacher_network(load_teacher(name))(image).shape == (1, 384, 8, 8)


def test_the_command_checks_several_teachers_and_writes_its_figures(category, tiny_teacher, tmp_path, capsys):
    words = ["teachers", "check", "efficientnet_lite0", str(tiny_teacher), "--data", str(category), "--size", "64"]
    assert main([*words, "--json", str(tmp_path / "check.json")]) == 0
    content = read_json(tmp_path / "check.json")
    assert (content["train_good"], content["test"], content["size"]) == (8, 12, 64)
    assert [figure["teacher"] for figure in content["teachers"]] == ["efficientnet_lite0", str(tiny_teacher)]
    assert all(0 <= figure["image_auroc"] <= 1 for figure in content["teachers"])
    assert "nearest neighbours on cell" in capsys.readouterr().out


def test_a_misspelt_teacher_is_named_before_anything_is_measured(category, capsys):
    assert main(["teachers", "check", "pdn_small", "efficientnet_lte1", "--data", str(category)]) == 2
    assert "did you mean efficientnet_lite1" in capsys.readouterr().err
