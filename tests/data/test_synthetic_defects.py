import numpy as np
import pytest

from edgekd.data.images import read_image
from edgekd.data.resizing import resize_image
from edgekd.data.synthetic_defects import FEWEST_PIXELS, KINDS, VISIBLE, synthetic_defects


@pytest.fixture(scope="module")
def cells(elpv_images) -> np.ndarray:
    """Real good images, grey."""
    return np.stack([resize_image(read_image(path), 96, 96) for path in elpv_images[:6]])


@pytest.fixture(scope="module")
def coloured() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, 64, 80, 3), np.uint8)


def made_from(frames: np.ndarray, image: np.ndarray, mask: np.ndarray) -> list[int]:
    return [index for index, frame in enumerate(frames) if np.array_equal(frame[mask == 0], image[mask == 0])]


@pytest.mark.parametrize("frames", ["cells", "coloured"])
def test_outside_its_mask_an_image_is_a_good_one_and_inside_the_defect_shows(frames, request):
    frames = request.getfixturevalue(frames)
    images, masks = synthetic_defects(frames, 10 * len(KINDS), seed=0)
    assert images.shape == (70, *frames.shape[1:])
    assert masks.shape == images.shape[:3]
    assert images.dtype == masks.dtype == np.uint8
    assert set(np.unique(masks)) == {0, 1}
    for image, mask in zip(images, masks, strict=True):
        (source,) = made_from(frames, image, mask)
        difference = np.abs(image.astype(int) - frames[source]).max(2)
        assert np.count_nonzero(difference >= VISIBLE) >= FEWEST_PIXELS


def test_defects_are_small_and_differ_in_size_and_strength(cells):
    images, masks = synthetic_defects(cells, 140, seed=0)
    shares = masks.mean((1, 2))
    assert shares.max() < 0.15
    assert np.median(shares) < 0.04
    assert np.quantile(shares, 0.9) > 5 * np.quantile(shares, 0.1)
    strengths = []
    for image, mask in zip(images, masks, strict=True):
        source = cells[made_from(cells, image, mask)[0]]
        strengths.append(np.abs(image.astype(int) - source).max())
    assert min(strengths) < 20
    assert max(strengths) > 100


def test_every_good_image_is_used_as_often_as_any_other(cells):
    images, masks = synthetic_defects(cells, 15, seed=0)
    sources = [made_from(cells, image, mask)[0] for image, mask in zip(images, masks, strict=True)]
    assert sorted(np.bincount(sources, minlength=6)) == [2, 2, 2, 3, 3, 3]


def test_grey_images_stay_grey_and_coloured_ones_get_coloured_defects(cells, coloured):
    images, _ = synthetic_defects(cells, 35, seed=0)
    assert (images == images[..., :1]).all()
    flat = np.full((1, 64, 64, 3), (30, 90, 160), np.uint8)
    images, masks = synthetic_defects(flat, 2, seed=0)
    changes = images[masks > 0].astype(int) - flat[0, 0, 0]
    assert (changes != changes[:, :1]).any()


def test_the_seed_and_the_number_decide_about_an_image(cells):
    (one, masks), (same, same_masks), (other, _) = (synthetic_defects(cells, 21, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert np.array_equal(masks, same_masks)
    assert not np.array_equal(one, other)
    more, _ = synthetic_defects(cells, 28, seed=0)
    assert np.array_equal(more[:21], one)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_defect_that_would_not_show_on_a_flat_image_is_drawn_again(value):
    frames = np.full((1, 32, 32, 3), value, np.uint8)
    images, masks = synthetic_defects(frames, 14, seed=0)
    assert (np.abs(images.astype(int) - value).max((1, 2, 3)) >= VISIBLE).all()
    assert masks.any((1, 2)).all()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_each_kind_changes_real_images_and_not_beyond_half_of_them(kind, cells):
    frame, other = cells[0].astype(np.float32), cells[1].astype(np.float32)
    changes = 0
    for seed in range(20):
        changed, shape = kind(frame, other, np.random.default_rng(seed))
        assert changed.shape == frame.shape
        assert shape.mean() < 0.5
        changes += bool(np.abs(changed - frame)[shape].max(initial=0) >= 2)
    assert changes >= 10  # Others do not show, and are drawn again.
