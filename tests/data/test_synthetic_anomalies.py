from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data.synthetic_anomalies import (
    anomaly_mask,
    corrupt,
    list_textures,
    perlin_noise,
    perlin_noise_at,
    procedural_texture,
)
from edgekd.data.textures import Textures
from edgekd.errors import EdgekdError

COLOUR = np.array([20, 250, 130], np.uint8)  # Of the constant texture, BGR.


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)


@pytest.fixture
def constant_texture(tmp_path) -> Path:
    assert cv2.imwrite(str(tmp_path / "constant.png"), np.tile(COLOUR, (50, 70, 1)))
    return tmp_path / "constant.png"


def generators(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def test_the_same_generator_state_corrupts_the_same_way(frame):
    (one, mask_of_one), (same, mask_of_same) = (corrupt(frame, None, np.random.default_rng(5)) for _ in range(2))
    assert mask_of_one.any()
    assert np.array_equal(one, same)
    assert np.array_equal(mask_of_one, mask_of_same)


def test_a_generator_that_goes_on_corrupts_another_way(frame):
    rng = np.random.default_rng(5)
    (one, mask_of_one), (other, mask_of_other) = corrupt(frame, None, rng), corrupt(frame, None, rng)
    assert not np.array_equal(one, other)
    assert not np.array_equal(mask_of_one, mask_of_other)


@pytest.mark.parametrize("side", [16, 50, 96])
def test_results_are_float32_of_the_frames_size_and_range(side):
    for rng in generators(10):
        corrupted, mask = corrupt(rng.integers(0, 256, (side, side, 3), np.uint8), None, rng)
        assert corrupted.shape == (side, side, 3)
        assert mask.shape == (side, side)
        assert corrupted.dtype == mask.dtype == np.float32
        assert set(np.unique(mask)) <= {0.0, 1.0}
        assert 0 <= corrupted.min() <= corrupted.max() <= 255


def test_outside_the_mask_the_frame_is_untouched(frame):
    for rng in generators(20):
        corrupted, mask = corrupt(frame, None, rng)
        assert np.array_equal(corrupted[mask == 0], frame[mask == 0].astype(np.float32))


def test_inside_the_mask_texture_and_frame_are_blended_with_one_share(frame, constant_texture):
    shares = []
    for rng in generators(100):
        corrupted, mask = corrupt(frame, Textures([constant_texture], frame.shape[:2]), rng)
        if not mask.any():
            continue
        good, blended = frame[mask == 1].astype(np.float32), corrupted[mask == 1]
        apart = np.abs(COLOUR - good) > 40  # Where they are alike the share cannot be told.
        share = (blended - good)[apart] / (COLOUR - good)[apart]
        assert np.ptp(share) < 1e-4
        np.testing.assert_allclose(blended, share[0] * COLOUR + (1 - share[0]) * good, atol=0.02)
        shares.append(share[0])
    assert len(shares) > 80
    assert 0.15 <= min(shares) < 0.25
    assert 0.9 < max(shares) <= 1


def test_every_texture_gets_its_turn(tmp_path):
    textures = [tmp_path / f"{value}.png" for value in (100, 150, 200)]
    for path in textures:
        assert cv2.imwrite(str(path), np.full((20, 20, 3), int(path.stem), np.uint8))
    black = np.zeros((64, 64, 3), np.uint8)
    brightest = max(float(corrupt(black, Textures(textures, (64, 64)), rng)[0].max()) for rng in generators(60))
    assert 170 < brightest <= 200
    assert max(float(corrupt(black, Textures(textures[:1], (64, 64)), rng)[0].max()) for rng in generators(60)) <= 100


def test_an_empty_mask_leaves_the_image_clean(frame):
    clean = [corrupted for corrupted, mask in (corrupt(frame, None, rng) for rng in generators(100)) if not mask.any()]
    assert clean
    assert all(np.array_equal(corrupted, frame) for corrupted in clean)


def test_masks_cover_about_a_twentieth_of_the_image():
    rng = np.random.default_rng(0)
    covered = np.array([anomaly_mask((256, 256), rng).mean() for _ in range(200)])
    assert 0.04 < covered.mean() < 0.06  # Ten times 200 masks gave 0.044 to 0.053.
    assert covered.max() < 0.7


@pytest.mark.parametrize("size", [(64, 160), (160, 64)])
def test_masks_of_a_rectangle_cover_its_ends_and_are_not_stretched(size):
    rng = np.random.default_rng(0)
    masks = [anomaly_mask(size, rng) for _ in range(600)]
    covered = np.mean(masks, axis=0)
    assert covered.shape == size
    along = covered.mean(size.index(min(size)))
    assert along[:24].mean() > 0.3 * along.mean()
    assert along[-24:].mean() > 0.3 * along.mean()
    # Edges across and along are as many: of what is drawn on a square and stretched, there would be fewer along.
    edges = [np.mean([np.abs(np.diff(mask, axis=axis)).mean() for mask in masks]) for axis in (0, 1)]
    assert edges[0] == pytest.approx(edges[1], rel=0.15)


def test_a_rectangle_is_corrupted_under_its_mask_alone(frame, constant_texture):
    wide = np.ascontiguousarray(frame[:48])
    for textures in (None, Textures([constant_texture], wide.shape[:2])):
        for rng in generators(10):
            corrupted, mask = corrupt(wide, textures, rng)
            assert corrupted.shape == wide.shape
            assert mask.shape == wide.shape[:2]
            assert np.array_equal(corrupted[mask == 0], wide[mask == 0].astype(np.float32))


def test_masks_are_turned_so_that_corners_often_come_from_outside():
    rng = np.random.default_rng(0)
    covered = np.mean([anomaly_mask((64, 64), rng) for _ in range(400)], axis=0)
    corners = [covered[rows, columns].mean() for rows in np.s_[:8, -8:] for columns in np.s_[:8, -8:]]
    assert max(corners) < 0.6 * covered[16:48, 16:48].mean()


@pytest.mark.parametrize("scales", [(1, 1), (2, 8), (32, 4)])
def test_noise_is_zero_at_the_lattice_points_and_not_between_them(scales):
    noise = perlin_noise(96, scales, np.random.default_rng(1))
    steps = 96 // scales[0], 96 // scales[1]
    assert np.abs(noise[:: steps[0], :: steps[1]]).max() < 1e-5
    assert np.abs(noise[steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]]).max() > 0.05


@pytest.mark.parametrize("side", [96, 101])
@pytest.mark.parametrize("scales", [(1, 1), (4, 4), (2, 8)])
def test_noise_is_bounded_and_smooth(side, scales):
    for rng in generators(20):
        noise = perlin_noise(side, scales, rng)
        assert noise.dtype == np.float32
        assert noise.shape == (side, side)
        assert np.abs(noise).max() <= 1
        for axis, scale in enumerate(scales):
            # The slope stays under five a cell; a seam between cells would jump by a fair share of the range.
            assert np.abs(np.diff(noise, axis=axis)).max() < 5 * scale / side


def test_noise_is_the_faded_mean_of_the_corners_slopes():
    """One cell, written out from the definition."""
    angles = np.float32(2 * np.pi) * np.random.default_rng(3).random((2, 2), np.float32)
    y, x = 5 / 8, 2 / 8
    fade_y, fade_x = (6 * t**5 - 15 * t**4 + 10 * t**3 for t in (y, x))
    expected = 0.0
    for i, weight_y in enumerate((1 - fade_y, fade_y)):
        for j, weight_x in enumerate((1 - fade_x, fade_x)):
            slope = np.sin(angles[i, j]) * (y - i) + np.cos(angles[i, j]) * (x - j)
            expected += weight_y * weight_x * slope
    assert perlin_noise(8, (1, 1), np.random.default_rng(3))[5, 2] == pytest.approx(np.sqrt(2) * expected, abs=1e-5)


@pytest.mark.parametrize(("side", "scales"), [(96, (2, 8)), (101, (4, 1))])
def test_noise_at_some_pixels_is_that_of_the_whole_to_the_bit(side, scales):
    rng = np.random.default_rng(7)
    angles = np.float32(2 * np.pi) * rng.random((2, scales[0] + 1, scales[1] + 1), np.float32)
    row, column = rng.integers(side, size=(2, 500))
    drawn = np.random.default_rng(7)  # Draws the same directions, one lattice after the other.
    whole = np.stack([perlin_noise(side, scales, drawn) for _ in range(2)])
    assert np.array_equal(perlin_noise_at(row, column, (side, side), angles), whole[:, row, column])


def test_a_texture_at_some_pixels_is_that_of_the_whole_and_draws_as_much():
    places = np.array([5, 64, 4000, 17])
    of_few, of_all = np.random.default_rng(2), np.random.default_rng(2)
    few, whole = procedural_texture((64, 64), places, of_few), procedural_texture((64, 64), np.arange(64**2), of_all)
    assert np.array_equal(few, whole[places])
    assert of_few.random() == of_all.random()


def test_procedural_textures_are_in_range_and_no_two_alike():
    rng = np.random.default_rng(0)
    everywhere = np.arange(64**2)
    textures = np.stack([procedural_texture((64, 64), everywhere, rng).reshape(64, 64, 3) for _ in range(30)])
    assert textures.dtype == np.float32
    assert textures.shape == (30, 64, 64, 3)
    assert textures.min() >= 0
    assert textures.max() <= 255
    assert textures.mean((1, 2)).std(0).min() > 40  # Their colours differ,
    contrasts = textures.std((1, 2)).mean(1)
    assert contrasts.min() < 20  # and some are faint,
    assert contrasts.max() > 60  # some strong.


def test_textures_are_listed_sorted(tmp_path, constant_texture):
    (tmp_path / "another.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image")
    assert list_textures(tmp_path) == [tmp_path / "another.jpg", constant_texture]


@pytest.mark.parametrize(("name", "said"), [("gone", "no such folder: "), ("", "no image in ")])
def test_a_missing_and_an_empty_texture_folder_are_named_in_one_line(tmp_path, name, said):
    with pytest.raises(EdgekdError) as caught:
        list_textures(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"--textures FOLDER: {said}{tmp_path / name}")
    assert "give a folder of texture images" in message
    assert "\n" not in message
